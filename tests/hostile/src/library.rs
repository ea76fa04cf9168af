//! The part of a puppet's module that is the same in all of them: memory, search, recursion, and the attempt to differ.

/// What does not depend on the data. `$differ` writes all that a guest could see change from call to call as 16 digits: a global and a
/// cell that it counts up, the size of memory, memory that nobody wrote, bits of NaNs, relaxed SIMD.
pub(crate) const LIBRARY: &str = r#"
  (func $realloc (export "cabi_realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
      (then (drop (memory.grow (i32.add (i32.const 1)
        (i32.shr_u (i32.sub (global.get $heap) (i32.mul (memory.size) (i32.const 65536))) (i32.const 16)))))))
    (memory.copy (local.get $at) (local.get $old) (local.get $had))
    (local.get $at))
  (func $allocate (param $size i32) (result i32)
    (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (local.get $size)))
  (func $recurse (param $n i32) (result i32)
    (i32.add (call $recurse (i32.add (local.get $n) (i32.const 1))) (local.get $n)))
  (func $find (param $p i32) (param $length i32) (param $needle i32) (param $size i32) (result i32)
    (local $i i32) (local $j i32)
    (block $none (loop $next
      (br_if $none (i32.gt_u (i32.add (local.get $i) (local.get $size)) (local.get $length)))
      (local.set $j (i32.const 0))
      (block $differs (loop $compare
        (if (i32.eq (local.get $j) (local.get $size)) (then (return (i32.add (local.get $i) (local.get $size)))))
        (br_if $differs (i32.ne
          (i32.load8_u (i32.add (local.get $p) (i32.add (local.get $i) (local.get $j))))
          (i32.load8_u (i32.add (local.get $needle) (local.get $j)))))
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (br $compare)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (i32.const -1))
  (func $mix (param $sum i64) (param $with i64) (result i64)
    (i64.xor (i64.rotl (local.get $sum) (i64.const 7)) (local.get $with)))
  (func $differ (param $at i32)
    (local $sum i64) (local $i i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 1)))
    (local.set $sum (call $mix (local.get $sum) (i64.extend_i32_u (global.get $calls))))
    (local.set $sum (call $mix (local.get $sum) (i64.load (i32.const 16))))
    (local.set $sum (call $mix (local.get $sum) (i64.extend_i32_u (memory.size))))
    (local.set $i (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
    (local.set $sum (call $mix (local.get $sum) (i64.load (local.get $i))))
    (i64.store (local.get $i) (i64.const 0x0123456789abcdef))
    (local.set $sum (call $mix (local.get $sum)
      (i64.reinterpret_f64 (f64.div (f64.const 0) (f64.const 0)))))
    (local.set $sum (call $mix (local.get $sum)
      (i64.extend_i32_u (i32.reinterpret_f32 (f32.add (f32.const nan:0x123) (f32.const -nan:0x321))))))
    (local.set $sum (call $mix (local.get $sum) (i64x2.extract_lane 0 (f32x4.relaxed_madd
      (v128.const f32x4 1.1 nan 3.3 4.4) (v128.const f32x4 -1.7 2.2 3.3 0.1) (v128.const f32x4 1.87 9 9 1e-9)))))
    (local.set $i (i32.const 0))
    (loop $digit
      (i32.store8 (i32.add (local.get $at) (local.get $i))
        (i32.add (i32.const 97) (i32.and (i32.wrap_i64 (local.get $sum)) (i32.const 15))))
      (local.set $sum (i64.shr_u (local.get $sum) (i64.const 4)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $digit (i32.lt_u (local.get $i) (i32.const 16)))))"#;
