//! The bindings that `wit-bindgen` makes of `wit/v0.1`: the world with every interface. What a plugin does not implement answers
//! `unsupported`. Nothing hand-written lives here; the types are re-exported as [`crate::wit`].
#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated: the WIT carries the documentation, and lifting and lowering are unsafe by nature"
)]

wit_bindgen::generate!({
    path: "../../wit/v0.1",
    world: "plugin",
    pub_export_macro: true,
    export_macro_name: "export_world",
    default_bindings_module: "crate::bindings",
    additional_derives: [PartialEq, Clone, serde::Serialize, serde::Deserialize],
});
