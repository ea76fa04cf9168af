//! How much work a component makes for the compiler, counted in its bytes before they are compiled: compiling knows no limits of its own, and a
//! module of a few hundred kilobytes can be written so that it takes minutes and gigabytes. What a running instance may use is `limits`'.

use wasmparser::{BlockType, FunctionBody, Operator, Parser, Payload};

use crate::load::LoadError;

// Each is several times what the largest known toolchain's component has (the JavaScript engine: 19,845 functions, 6,715 segments, a body of 172 KB,
// 456 blocks deep, 225,383 values in one function and 3.8 million in all), except for segments, which that toolchain bounds itself.

/// Largest body of a function, in bytes.
const BODY: usize = 1 << 20;
/// Functions of all modules together.
const FUNCTIONS: usize = 50_000;
/// Segments of data and elements of all modules together; each becomes an initialiser.
const SEGMENTS: usize = 10_000;
/// Blocks within blocks.
const DEPTH: usize = 2_500;
/// Values that one function carries over its joints: where control may come from more than one place, every variable may need a value of its own.
const FLOW: usize = 1_000_000;
/// The same for all functions together.
const TOTAL_FLOW: usize = 20_000_000;

/// What was counted so far, of all modules together.
#[derive(Debug, Default)]
struct Complexity {
    functions: usize,
    segments: usize,
    flow: usize,
}

/// Counts what a component asks of the compiler.
///
/// # Errors
/// It is more than any component needs, or it is not valid.
pub(crate) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    let (mut found, mut module) = (Complexity::default(), Module::default());
    for payload in Parser::new(0).parse_all(bytes) {
        found.payload(&mut module, payload.map_err(|error| LoadError::invalid(&error))?)?;
    }
    Ok(())
}

impl Complexity {
    fn payload(&mut self, module: &mut Module, payload: Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::Version { .. } => *module = Module::default(),
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group.map_err(|error| LoadError::invalid(&error))?.into_types() {
                        let arity = match &ty.composite_type.inner {
                            wasmparser::CompositeInnerType::Func(function) => (function.params().len(), function.results().len()),
                            _ => (0, 0),
                        };
                        module.types.push(arity);
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    module.functions.push(ty.map_err(|error| LoadError::invalid(&error))?);
                }
            }
            Payload::DataSection(section) => self.segments += section.count() as usize,
            Payload::ElementSection(section) => self.segments += section.count() as usize,
            Payload::CodeSectionStart { count, .. } => self.functions += count as usize,
            Payload::CodeSectionEntry(body) => self.function(module, &body)?,
            _ => {}
        }
        within("functions", self.functions, FUNCTIONS)?;
        within("segments of data and elements", self.segments, SEGMENTS)
    }

    fn function(&mut self, module: &mut Module, body: &FunctionBody<'_>) -> Result<(), LoadError> {
        let size = body.as_bytes().len();
        within("bytes of one function", size, BODY)?;
        let (flow, depth) = module.flow(body).map_err(|error| LoadError::invalid(&error))?;
        self.flow = self.flow.saturating_add(flow);
        within("blocks within blocks", depth, DEPTH)?;
        within("values over the joints of one function", flow, FLOW)?;
        within("values over the joints of all functions", self.flow, TOTAL_FLOW)
    }
}

/// Numbers of parameters and results by type, and types by function, of the module that is looked at.
#[derive(Default)]
struct Module {
    types: Vec<(usize, usize)>,
    functions: Vec<u32>,
    next: usize,
}

impl Module {
    /// Flow and depth of the next function.
    fn flow(&mut self, body: &FunctionBody<'_>) -> wasmparser::Result<(usize, usize)> {
        let parameters = self.functions.get(self.next).map_or(0, |ty| self.arity(*ty).0);
        self.next += 1;
        let mut variables = parameters;
        for locals in body.get_locals_reader()? {
            variables = variables.saturating_add(locals?.0 as usize);
        }
        let mut flow = 0_usize;
        let (mut depth, mut deepest) = (0_usize, 0_usize);
        for operator in body.get_operators_reader()? {
            let values = match operator? {
                Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                    depth += 1;
                    self.values(blockty).saturating_add(variables)
                }
                Operator::TryTable { try_table } => {
                    depth += 1;
                    self.values(try_table.ty).saturating_add(variables)
                }
                Operator::Else => variables,
                Operator::BrTable { targets } => targets.len() as usize,
                Operator::End => {
                    depth = depth.saturating_sub(1);
                    0
                }
                _ => 0,
            };
            deepest = deepest.max(depth);
            flow = flow.saturating_add(values);
        }
        Ok((flow, deepest))
    }

    fn values(&self, block: BlockType) -> usize {
        match block {
            BlockType::Empty => 0,
            BlockType::Type(_) => 1,
            BlockType::FuncType(ty) => {
                let (parameters, results) = self.arity(ty);
                parameters + results
            }
        }
    }

    fn arity(&self, ty: u32) -> (usize, usize) {
        self.types.get(ty as usize).copied().unwrap_or_default()
    }
}

fn within(what: &'static str, found: usize, limit: usize) -> Result<(), LoadError> {
    if found <= limit { Ok(()) } else { Err(LoadError::TooComplex { what, found, limit }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is too much of a module with these items, in a component.
    fn too_much(items: &str) -> Option<&'static str> {
        let component = wat::parse_str(format!("(component (core module {items}))")).unwrap();
        match check(&component) {
            Ok(()) => None,
            Err(LoadError::TooComplex { what, found, limit }) if found > limit => Some(what),
            Err(other) => panic!("{other}"),
        }
    }

    fn function(parameters: usize, locals: usize, body: &str) -> String {
        format!("(func (param {}) (local {}) {body})", "i32 ".repeat(parameters), "i32 ".repeat(locals))
    }

    #[test]
    fn more_of_something_than_a_limit_is_refused_and_no_less() {
        let loops = |n: usize| "(loop)".repeat(n);
        let deep = |n: usize| format!("{}{}", "block ".repeat(n), "end ".repeat(n));
        let wide = format!("(type $wide (func (param {})))", "i32 ".repeat(1_000));
        let shuffled = |n: usize| {
            function(1_000, 0, &format!("{} {}", "local.get 0 ".repeat(1_000), "(block (type $wide) br 0) unreachable ".repeat(n)))
        };
        for (what, most, more) in [
            ("functions", "(func)".repeat(FUNCTIONS), "(func)".repeat(FUNCTIONS + 1)),
            ("segments of data and elements", "(data \"\")".repeat(SEGMENTS), "(data \"\")".repeat(SEGMENTS + 1)),
            ("blocks within blocks", function(0, 0, &deep(DEPTH)), function(0, 0, &deep(DEPTH + 1))),
            ("bytes of one function", function(0, 0, &"nop ".repeat(BODY - 2)), function(0, 0, &"nop ".repeat(BODY))),
            ("values over the joints of one function", function(200, 800, &loops(1_000)), function(200, 801, &loops(1_000))),
            ("values over the joints of one function", format!("{wide}{}", shuffled(500)), format!("{wide}{}", shuffled(501))),
            (
                "values over the joints of all functions",
                function(0, 1_000, &loops(1_000)).repeat(20),
                format!("{}{}", function(0, 1_000, &loops(1_000)).repeat(20), function(0, 1, &loops(1))),
            ),
        ] {
            assert_eq!((too_much(&most), too_much(&more)), (None, Some(what)));
        }
    }

    #[test]
    fn a_module_is_not_taken_for_another() {
        let many = "(func)".repeat(FUNCTIONS / 2);
        let component = |more: &str| wat::parse_str(format!("(component (core module {many}) (core module {many} {more}))")).unwrap();
        assert!(check(&component("")).is_ok());
        assert!(matches!(check(&component("(func)")), Err(LoadError::TooComplex { what: "functions", .. })));
        // The first module's types say nothing of the second's functions.
        let types = format!("(type (func (param {})))", "i32 ".repeat(1_000));
        let loops = format!("(type (func)) (func (type 0) (local {}) {})", "i32 ".repeat(10), "(loop)".repeat(10_000));
        assert!(check(&wat::parse_str(format!("(component (core module {types}) (core module {loops}))")).unwrap()).is_ok());
    }
}
