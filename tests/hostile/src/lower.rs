//! Values of the contract as bytes in a guest's memory, laid out as the canonical ABI says. Values are written as JSON: records as
//! objects in the WIT's own names, variants as `{"case": payload}` or `"case"`, options as null or the value. What is left out is empty,
//! absent, false, zero or the first case, so that fixtures say only what matters.

use serde_json::Value;
use wit_parser::{Resolve, SizeAlign, Type, TypeDefKind};

/// A part of a guest's memory that is filled before it starts.
pub(crate) struct Image<'a> {
    resolve: &'a Resolve,
    sizes: SizeAlign,
    base: usize,
    bytes: Vec<u8>,
}

impl<'a> Image<'a> {
    pub(crate) fn at(base: usize, resolve: &'a Resolve) -> Self {
        let mut sizes = SizeAlign::default();
        sizes.fill(resolve);
        Self { resolve, sizes, base, bytes: Vec::new() }
    }

    /// First free address.
    pub(crate) fn end(&self) -> usize {
        self.base + self.bytes.len()
    }

    /// The bytes as a WAT string literal.
    pub(crate) fn literal(&self) -> String {
        self.bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
    }

    pub(crate) fn size(&self, ty: &Type) -> usize {
        self.sizes.size(ty).size_wasm32()
    }

    /// Address of a record's field.
    pub(crate) fn offset(&self, ty: &Type, field: &str) -> usize {
        let TypeDefKind::Record(record) = self.kind(ty) else { panic!("no record") };
        let index = record.fields.iter().position(|f| f.name == field).unwrap();
        self.sizes.field_offsets(record.fields.iter().map(|f| &f.ty))[index].0.size_wasm32()
    }

    /// Offset of the payload of `result<ok, error>`, as a function returns it.
    pub(crate) fn result_payload(&self, ok: &Type, error: &Type) -> usize {
        self.sizes.payload_offset(wit_parser::Int::U8, [Some(ok), Some(error)]).size_wasm32()
    }

    pub(crate) fn reserve(&mut self, size: usize, align: usize) -> usize {
        let start = self.end().next_multiple_of(align);
        self.bytes.resize(start + size - self.base, 0);
        start
    }

    /// Places text; gives its address.
    pub(crate) fn text(&mut self, text: &str) -> usize {
        let at = self.reserve(text.len(), 1);
        self.put(at, text.as_bytes());
        at
    }

    /// Places a value; gives its address.
    pub(crate) fn value(&mut self, ty: &Type, value: &Value) -> usize {
        let at = self.reserve(self.size(ty), 8);
        self.store(ty, value, at);
        at
    }

    /// Places `ok(value)` of `result<ok, error>`; gives its address.
    pub(crate) fn ok(&mut self, ok: &Type, error: &Type, value: &Value) -> usize {
        let payload = self.result_payload(ok, error);
        let at = self.reserve(payload + self.size(ok).max(self.size(error)), 8);
        self.store(ok, value, at + payload);
        at
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at - self.base..at - self.base + bytes.len()].copy_from_slice(bytes);
    }

    fn put_pair(&mut self, at: usize, address: usize, length: usize) {
        self.put(at, &u32::try_from(address).unwrap().to_le_bytes());
        self.put(at + 4, &u32::try_from(length).unwrap().to_le_bytes());
    }

    fn kind(&self, ty: &Type) -> &'a TypeDefKind {
        let Type::Id(mut id) = *ty else { panic!("expected a named type") };
        while let TypeDefKind::Type(Type::Id(alias)) = &self.resolve.types[id].kind {
            id = *alias;
        }
        &self.resolve.types[id].kind
    }

    fn store(&mut self, ty: &Type, value: &Value, at: usize) {
        match ty {
            Type::Bool => self.put(at, &[u8::from(value.as_bool().unwrap_or_default())]),
            Type::U16 => self.put(at, &u16::try_from(value.as_u64().unwrap_or_default()).unwrap().to_le_bytes()),
            Type::U32 => self.put(at, &u32::try_from(value.as_u64().unwrap_or_default()).unwrap().to_le_bytes()),
            Type::U64 => self.put(at, &value.as_u64().unwrap_or_default().to_le_bytes()),
            Type::S64 => self.put(at, &value.as_i64().unwrap_or_default().to_le_bytes()),
            Type::F64 => self.put(at, &value.as_f64().unwrap_or_default().to_le_bytes()),
            Type::String => {
                let text = match value {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    json => json.to_string(),
                };
                let address = self.text(&text);
                self.put_pair(at, address, text.len());
            }
            Type::Id(_) => self.store_defined(ty, value, at),
            other => panic!("the contract has no {other:?}"),
        }
    }

    fn store_defined(&mut self, ty: &Type, value: &Value, at: usize) {
        match self.kind(ty) {
            TypeDefKind::Type(alias) => self.store(alias, value, at),
            TypeDefKind::Record(record) => {
                if let Value::Object(members) = value {
                    for name in members.keys() {
                        assert!(record.fields.iter().any(|field| &field.name == name), "no field {name}");
                    }
                }
                for (offset, field) in self.sizes.field_offsets(record.fields.iter().map(|f| &f.ty)).into_iter().zip(&record.fields) {
                    self.store(&field.ty, &value[field.name.as_str()], at + offset.0.size_wasm32());
                }
            }
            TypeDefKind::List(element) => {
                let items = value.as_array().map_or(&[][..], Vec::as_slice);
                let size = self.size(element);
                let address = self.reserve(size * items.len(), 8);
                for (index, item) in items.iter().enumerate() {
                    self.store(element, item, address + index * size);
                }
                self.put_pair(at, address, items.len());
            }
            TypeDefKind::Option(some) => {
                if !value.is_null() {
                    let payload = self.sizes.payload_offset(wit_parser::Int::U8, [Some(some)]).size_wasm32();
                    self.put(at, &[1]);
                    self.store(some, value, at + payload);
                }
            }
            TypeDefKind::Enum(cases) => {
                let index = match value.as_str() {
                    Some(name) => cases.cases.iter().position(|case| case.name == name).expect(name),
                    None => 0,
                };
                self.put(at, &[u8::try_from(index).unwrap()]);
            }
            TypeDefKind::Variant(variant) => {
                let (name, payload) = match value {
                    Value::String(name) => (Some(name.as_str()), &Value::Null),
                    Value::Object(members) => {
                        members.iter().next().map_or((None, &Value::Null), |(name, payload)| (Some(name.as_str()), payload))
                    }
                    _ => (None, &Value::Null),
                };
                let index = name.map_or(0, |name| variant.cases.iter().position(|c| c.name == name).expect(name));
                self.put(at, &[u8::try_from(index).unwrap()]);
                if let Some(case) = &variant.cases[index].ty {
                    let offset = self.sizes.payload_offset(variant.tag(), variant.cases.iter().map(|c| c.ty.as_ref()));
                    self.store(case, payload, at + offset.size_wasm32());
                }
            }
            other => panic!("the contract has no {other:?}"),
        }
    }
}
