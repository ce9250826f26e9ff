//! The memory plan: no operator reads what another has overwritten.

use super::error::{LoadError, OperatorFault};
use crate::format::{Header, OperatorRecord, TensorRecord, opcode};

/// Follows every tensor from where it is written to where it is last read. Indices and ranges of
/// the operators were checked before.
pub(super) fn check(
    header: &Header,
    tensors: &[TensorRecord],
    operators: &[OperatorRecord],
) -> Result<(), LoadError> {
    for (index, operator) in operators.iter().enumerate() {
        let fault = |fault| LoadError::Operator { index, fault };
        let (before, _) = operators.split_at_checked(index).unwrap_or_default();
        let written_before = before.iter().any(|other| other.output == operator.output);
        if written_before || operator.output == header.input {
            return Err(fault(OperatorFault::WrittenTwice));
        }
        let [input, _] = operator.inputs;
        if !alive(header, tensors, before, input) {
            return Err(fault(OperatorFault::Clobbered));
        }
    }
    let is_written = operators
        .iter()
        .any(|operator| operator.output == header.output);
    if !is_written || !alive(header, tensors, operators, header.output) {
        return Err(LoadError::Operator {
            index: operators.len().saturating_sub(1),
            fault: OperatorFault::OutputLost,
        });
    }
    Ok(())
}

/// Whether a tensor still holds its values after the operators `done`.
fn alive(header: &Header, tensors: &[TensorRecord], done: &[OperatorRecord], tensor: u16) -> bool {
    let Some(record) = tensors.get(usize::from(tensor)) else {
        return false;
    };
    // Backwards: whoever is met before the writer and touches the bytes has destroyed them.
    for operator in done.iter().rev() {
        if operator.output == tensor {
            return true;
        }
        if destroys(operator, tensors, record) {
            return false;
        }
    }
    tensor == header.input
}

fn destroys(operator: &OperatorRecord, tensors: &[TensorRecord], victim: &TensorRecord) -> bool {
    let [input, _] = operator.inputs;
    let input = tensors.get(usize::from(input));
    let output = tensors.get(usize::from(operator.output));
    let (Some(input), Some(output)) = (input, output) else {
        return true;
    };
    // A reshape in place writes nothing.
    let writes = operator.opcode != opcode::RESHAPE || input.arena_offset != output.arena_offset;
    let victim = (victim.arena_offset, victim.len);
    writes && overlap(victim, (output.arena_offset, output.len))
        || overlap(victim, (operator.scratch, operator.scratch_len))
}

/// Whether two `(start, length)` ranges share a byte.
pub(super) fn overlap((a, a_len): (u32, u32), (b, b_len): (u32, u32)) -> bool {
    a < b.saturating_add(b_len) && b < a.saturating_add(a_len) && a_len != 0 && b_len != 0
}
