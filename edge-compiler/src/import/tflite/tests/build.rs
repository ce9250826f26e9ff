//! Writes flatbuffers field by field, with the numbers of the public schema.

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, UnionWIPOffset, WIPOffset};

/// A table: field numbers and values, in any order.
pub type Fields = Vec<(u16, Value)>;

/// A field's value.
#[derive(Clone)]
pub enum Value {
    I8(i8),
    U8(u8),
    Bool(bool),
    I32(i32),
    U32(u32),
    U64(u64),
    F32(f32),
    Text(String),
    Ints(Vec<i32>),
    Floats(Vec<f32>),
    Longs(Vec<i64>),
    Bytes(Vec<u8>),
    Table(Fields),
    Tables(Vec<Fields>),
}

pub fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// A file whose root has these fields.
pub fn file(root: &Fields) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let root = table(&mut builder, root);
    builder.finish(root, Some("TFL3"));
    builder.finished_data().to_vec()
}

/// `table` with field `id` replaced or added.
pub fn with(table: &Fields, id: u16, value: Value) -> Fields {
    let mut fields = without(table, id);
    fields.push((id, value));
    fields
}

/// `table` without field `id`.
pub fn without(table: &Fields, id: u16) -> Fields {
    let others = table.iter().filter(|(other, _)| *other != id);
    others.cloned().collect()
}

/// A field already in its place: numbers by value, everything else by where it was written.
enum Written {
    Number(Value),
    Reference(WIPOffset<UnionWIPOffset>),
}

fn table(
    builder: &mut FlatBufferBuilder<'_>,
    fields: &Fields,
) -> WIPOffset<TableFinishedWIPOffset> {
    // A table may only begin when everything that it refers to is written.
    let fields: Vec<_> = fields
        .iter()
        .map(|(id, value)| (4 + 2 * id, write(builder, value)))
        .collect();
    let start = builder.start_table();
    for (slot, value) in fields {
        match value {
            Written::Reference(offset) => builder.push_slot_always(slot, offset),
            Written::Number(Value::I8(value)) => builder.push_slot_always(slot, value),
            Written::Number(Value::U8(value)) => builder.push_slot_always(slot, value),
            Written::Number(Value::Bool(value)) => builder.push_slot_always(slot, value),
            Written::Number(Value::I32(value)) => builder.push_slot_always(slot, value),
            Written::Number(Value::U32(value)) => builder.push_slot_always(slot, value),
            Written::Number(Value::U64(value)) => builder.push_slot_always(slot, value),
            Written::Number(Value::F32(value)) => builder.push_slot_always(slot, value),
            Written::Number(_) => unreachable!("written as a reference"),
        }
    }
    builder.end_table(start)
}

fn write(builder: &mut FlatBufferBuilder<'_>, value: &Value) -> Written {
    Written::Reference(match value {
        Value::Text(value) => builder.create_string(value).as_union_value(),
        Value::Ints(values) => builder.create_vector(values).as_union_value(),
        Value::Floats(values) => builder.create_vector(values).as_union_value(),
        Value::Longs(values) => builder.create_vector(values).as_union_value(),
        Value::Bytes(values) => builder.create_vector(values).as_union_value(),
        Value::Table(fields) => table(builder, fields).as_union_value(),
        Value::Tables(tables) => {
            let tables: Vec<_> = tables.iter().map(|fields| table(builder, fields)).collect();
            builder.create_vector(&tables).as_union_value()
        }
        number => return Written::Number(number.clone()),
    })
}
