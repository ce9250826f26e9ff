//! Reads a model, all but the options of operators.

use std::collections::BTreeSet;

use flatbuffers::Verifier;

use super::builtin::Builtin;
use super::error::TfliteError;
use super::flatbuffer::{self, Read, Table};
use super::model::{self, Model, Operator};
use super::read_options::{self, Place};
use super::read_tensor::{RawTensor, Role};
use super::schema::{
    IDENTIFIER, VERSION, buffer, model as root, operator, operator_code, signature_def, subgraph,
};

/// Reads a `.tflite` file of one subgraph (others may exist if nothing executes them).
///
/// # Errors
/// See [`TfliteError`]. Sizes, types and quantisation of tensors that no operator, input or output
/// names are not judged.
pub fn read(file: &[u8]) -> Result<Model<'_>, TfliteError> {
    if file.get(4..8) != Some(IDENTIFIER.as_slice()) {
        return Err(TfliteError::NotTflite);
    }
    let in_root = |found| TfliteError::damaged("its root table", found);
    let limits = flatbuffer::limits(file.len());
    let mut verifier = Verifier::new(&limits, file);
    let mut root = Table::root(&mut verifier, file).map_err(in_root)?;

    let version = root.scalar(root::VERSION).map_err(in_root)?;
    if version != VERSION {
        return Err(TfliteError::Version { found: version });
    }
    let description = root.text(root::DESCRIPTION).map_err(in_root)?;
    let codes = operator_codes(&mut root)?;
    let buffers = buffers(&mut root)?;
    check_signatures(&mut root)?;

    let subgraphs = root.tables(root::SUBGRAPHS).map_err(in_root)?;
    let subgraphs = subgraphs.unwrap_or_default();
    let Some(&main) = subgraphs.first() else {
        return Err(TfliteError::Missing { what: "subgraph" });
    };
    let in_main = |found| TfliteError::damaged("its first subgraph", found);
    let mut main = root.open(main).map_err(in_main)?;

    let tensor_tables = main.tables(subgraph::TENSORS).map_err(in_main)?;
    let tensor_tables = tensor_tables.unwrap_or_default();
    let operators = operators(&mut main, &codes, tensor_tables.len(), subgraphs.len())?;
    let mut ends = |field, place| -> Result<Vec<usize>, TfliteError> {
        let indices = main.numbers(field).map_err(in_main)?.unwrap_or_default();
        indices
            .into_iter()
            .map(|index| tensor_index(index, tensor_tables.len(), place))
            .collect()
    };
    let inputs = ends(subgraph::INPUTS, "the model's inputs")?;
    let outputs = ends(subgraph::OUTPUTS, "the model's outputs")?;

    let is_input: BTreeSet<usize> = inputs.iter().copied().collect();
    let is_used: BTreeSet<usize> = operators
        .iter()
        .flat_map(|operator| {
            let optional = operator.inputs.iter().chain(&operator.intermediates);
            optional.flatten().chain(&operator.outputs)
        })
        .chain(&inputs)
        .chain(&outputs)
        .copied()
        .collect();
    let mut tensors = Vec::new();
    for (index, &position) in tensor_tables.iter().enumerate() {
        let raw = RawTensor::read(&mut main, position)
            .map_err(|found| TfliteError::damaged(format!("tensor {index}"), found))?;
        let role = Role {
            used: is_used.contains(&index),
            input: is_input.contains(&index),
        };
        tensors.push(raw.check(index, role, &buffers)?);
    }
    Ok(Model {
        description: description.unwrap_or_default(),
        tensors,
        operators,
        inputs,
        outputs,
    })
}

/// What an operator's `opcode_index` leads to.
struct OperatorCode {
    builtin: Builtin,
    custom_name: Option<String>,
    version: i32,
}

/// Bytes of a custom operator's name. Every operator of that kind repeats it, so that its length
/// times their number must stay small.
const MAX_CUSTOM_NAME: usize = 256;

fn operator_codes(root: &mut Table<'_, '_, '_>) -> Result<Vec<OperatorCode>, TfliteError> {
    let read = |root: &mut Table<'_, '_, '_>| -> Read<Vec<OperatorCode>> {
        let positions = root.tables(root::OPERATOR_CODES)?.unwrap_or_default();
        let codes = positions.into_iter().map(|position| {
            let mut table = root.open(position)?;
            let old = table.scalar(operator_code::DEPRECATED_BUILTIN_CODE)?;
            let new = table.scalar(operator_code::BUILTIN_CODE)?;
            Ok(OperatorCode {
                // A file has the number in either field or both; the old one stops at 127.
                builtin: Builtin(new.max(old.into())),
                custom_name: table.text(operator_code::CUSTOM_CODE)?,
                version: table.scalar(operator_code::VERSION)?,
            })
        });
        codes.collect()
    };
    let codes = read(root).map_err(|found| TfliteError::damaged("its operator codes", found))?;
    for (index, code) in codes.iter().enumerate() {
        let length = code.custom_name.as_ref().map_or(0, String::len);
        if length > MAX_CUSTOM_NAME {
            return Err(TfliteError::Damaged {
                place: format!("operator code {index}"),
                reason: format!("a name of {length} bytes, {MAX_CUSTOM_NAME} are read"),
            });
        }
    }
    Ok(codes)
}

/// The content of a `Buffer`.
pub(super) enum Content<'f> {
    /// Possibly none.
    Inline(&'f [u8]),
    /// Behind the flatbuffer.
    External,
}

fn buffers<'f>(root: &mut Table<'_, '_, 'f>) -> Result<Vec<Content<'f>>, TfliteError> {
    let in_list = |found| TfliteError::damaged("its list of buffers", found);
    let positions = root.tables(root::BUFFERS).map_err(in_list)?;
    let mut read = |position| -> Read<Content<'f>> {
        let mut table = root.open(position)?;
        // The schema: the offset is in use only if it is above 1.
        if table.scalar(buffer::OFFSET)? > 1 {
            return Ok(Content::External);
        }
        Ok(Content::Inline(
            table.bytes(buffer::DATA)?.unwrap_or_default(),
        ))
    };
    let positions = positions.unwrap_or_default().into_iter().enumerate();
    positions
        .map(|(index, position)| {
            read(position).map_err(|found| TfliteError::damaged(format!("buffer {index}"), found))
        })
        .collect()
}

/// Refuses entry points besides the first subgraph.
fn check_signatures(root: &mut Table<'_, '_, '_>) -> Result<(), TfliteError> {
    let in_signatures = |found| TfliteError::damaged("its signatures", found);
    let positions = root.tables(root::SIGNATURE_DEFS).map_err(in_signatures)?;
    for position in positions.unwrap_or_default() {
        let mut table = root.open(position).map_err(in_signatures)?;
        let subgraph = table
            .scalar(signature_def::SUBGRAPH_INDEX)
            .map_err(in_signatures)?;
        if subgraph != 0 {
            let signature = table.text(signature_def::SIGNATURE_KEY);
            return Err(TfliteError::SecondEntryPoint {
                signature: signature.map_err(in_signatures)?.unwrap_or_default(),
                subgraph,
            });
        }
    }
    Ok(())
}

/// The operators of the subgraph `main`, which has `tensors` tensors.
fn operators(
    main: &mut Table<'_, '_, '_>,
    codes: &[OperatorCode],
    tensors: usize,
    subgraphs: usize,
) -> Result<Vec<Operator>, TfliteError> {
    let positions = main
        .tables(subgraph::OPERATORS)
        .map_err(|found| TfliteError::damaged("its list of operators", found))?;
    let mut operators = Vec::new();
    for (index, position) in positions.unwrap_or_default().into_iter().enumerate() {
        let damaged = |found| TfliteError::damaged(format!("operator {index}"), found);
        let mut table = main.open(position).map_err(damaged)?;
        let code_index = table.scalar(operator::OPCODE_INDEX).map_err(damaged)?;
        let code = usize::try_from(code_index)
            .ok()
            .and_then(|at| codes.get(at));
        let code = code.ok_or_else(|| TfliteError::Index {
            place: format!("operator {index}"),
            what: "operator code",
            index: code_index.into(),
            count: codes.len(),
        })?;
        let name = model::name(code.builtin, code.custom_name.as_deref());
        if subgraphs > 1 && code.builtin.calls_subgraph() {
            return Err(TfliteError::CallsSubgraph {
                operator: index,
                name,
                subgraphs,
            });
        }
        let place = Place { index, name: &name };
        let at = place.to_string();
        let mut indices = |field| -> Result<Vec<i32>, TfliteError> {
            let found = table.numbers(field).map_err(damaged)?;
            Ok(found.unwrap_or_default())
        };
        let required = |index| tensor_index(index, tensors, &at);
        let optional = |index| (index != ABSENT).then(|| required(index)).transpose();
        operators.push(Operator {
            index,
            builtin: code.builtin,
            custom_name: code.custom_name.clone(),
            version: code.version,
            inputs: indices(operator::INPUTS)?
                .into_iter()
                .map(optional)
                .collect::<Result<_, _>>()?,
            outputs: indices(operator::OUTPUTS)?
                .into_iter()
                .map(required)
                .collect::<Result<_, _>>()?,
            intermediates: indices(operator::INTERMEDIATES)?
                .into_iter()
                .map(optional)
                .collect::<Result<_, _>>()?,
            options: read_options::options(&mut table, code.builtin, place)?,
        });
    }
    Ok(operators)
}

/// Stands for an optional tensor that is left out.
const ABSENT: i32 = -1;

/// `index` if there is such a tensor.
fn tensor_index(index: i32, tensors: usize, place: &str) -> Result<usize, TfliteError> {
    let valid = usize::try_from(index).ok().filter(|&index| index < tensors);
    valid.ok_or_else(|| TfliteError::Index {
        place: place.to_owned(),
        what: "tensor",
        index: index.into(),
        count: tensors,
    })
}
