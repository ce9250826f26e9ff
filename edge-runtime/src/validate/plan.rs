//! The memory plan: no operator reads what another has overwritten.

use super::error::{LoadError, OperatorFault};
use crate::format::{Header, OperatorRecord, TensorRecord, element, opcode, storage};
use crate::kernels::cases;
use crate::operator::shares;

/// What a plan consists of; [`cases`] of the image.
pub(super) struct Plan<'a, const CASES: u64> {
    pub header: &'a Header,
    pub tensors: &'a [TensorRecord],
    pub operators: &'a [OperatorRecord],
    pub further_inputs: &'a [u16],
    pub further_outputs: &'a [u16],
}

/// Follows every tensor from where it is written to where it is last read. Indices and ranges of
/// the operators were checked before.
pub(super) fn check<const CASES: u64>(plan: &Plan<'_, CASES>) -> Result<(), LoadError> {
    for (index, operator) in plan.operators.iter().enumerate() {
        let fault = |fault| LoadError::Operator { index, fault };
        let (before, _) = plan.operators.split_at_checked(index).unwrap_or_default();
        let written_before = before.iter().any(|other| {
            other.output == operator.output && !(writes_a_part(other) && writes_a_part(operator))
        });
        if written_before || plan.is_input(operator.output) {
            return Err(fault(OperatorFault::WrittenTwice));
        }
        let mut inputs = operator
            .inputs
            .iter()
            .filter(|input| plan.in_arena(**input));
        if !inputs.all(|input| plan.alive(before, *input)) {
            return Err(fault(OperatorFault::Clobbered));
        }
        // A state shares no byte with scratch, nor with any other tensor of the arena.
        if CASES & cases::STATES != 0
            && plan.meets_a_state((operator.scratch, operator.scratch_len), None)
        {
            return Err(fault(OperatorFault::Overlap));
        }
    }
    let lost = LoadError::Operator {
        index: plan.operators.len().saturating_sub(1),
        fault: OperatorFault::OutputLost,
    };
    let reaches = |output: &u16| {
        let written = plan.operators.iter().any(|o| o.output == *output);
        written && plan.alive(plan.operators, *output)
    };
    let has_further = CASES & cases::FURTHER != 0;
    if !reaches(&plan.header.output) || has_further && !plan.further_outputs.iter().all(reaches) {
        return Err(lost);
    }
    if CASES & cases::STATES == 0 {
        return Ok(());
    }
    for (index, tensor) in plan.tensors.iter().enumerate() {
        if tensor.storage != storage::CONSTANT && plan.meets_a_state(bytes(tensor), Some(tensor)) {
            let fault = super::TensorFault::State;
            return Err(LoadError::Tensor { index, fault });
        }
    }
    Ok(())
}

/// Whether several such operators may write one tensor.
fn writes_a_part(operator: &OperatorRecord) -> bool {
    matches!(operator.opcode, opcode::COPY | opcode::FILL)
}

impl<const CASES: u64> Plan<'_, CASES> {
    fn tensor(&self, index: u16) -> Option<&TensorRecord> {
        self.tensors.get(usize::from(index))
    }

    fn is_input(&self, tensor: u16) -> bool {
        let has_further = CASES & cases::FURTHER != 0;
        tensor == self.header.input || has_further && self.further_inputs.contains(&tensor)
    }

    fn in_arena(&self, tensor: u16) -> bool {
        self.tensor(tensor)
            .is_some_and(|tensor| tensor.storage == storage::ARENA)
    }

    /// Whether a tensor still holds its values after the operators `done`.
    fn alive(&self, done: &[OperatorRecord], tensor: u16) -> bool {
        let Some(victim) = self.tensor(tensor) else {
            return false;
        };
        let since = match done.iter().position(|o| o.output == tensor) {
            Some(writer) => writer.saturating_add(1),
            None if self.is_input(tensor) => 0,
            None => return false,
        };
        let mut others = done.iter().skip(since).filter(|o| o.output != tensor);
        !others.any(|operator| self.destroys(operator, victim))
    }

    fn destroys(&self, operator: &OperatorRecord, victim: &TensorRecord) -> bool {
        let Some(output) = self.tensor(operator.output) else {
            return true;
        };
        let [input, _] = operator.inputs;
        // A reshape in place writes nothing.
        let stays = self
            .tensor(input)
            .is_some_and(|input| input.arena_offset == output.arena_offset);
        let writes = operator.opcode != opcode::RESHAPE || !stays;
        let victim = (victim.arena_offset, victim.len);
        writes && shares(victim, (output.arena_offset, output.len))
            || shares(victim, (operator.scratch, operator.scratch_len))
    }

    /// Whether a state shares bytes with a range of the arena, or with the tensor that lies there.
    #[inline(never)]
    fn meets_a_state(&self, range: (u32, u32), of: Option<&TensorRecord>) -> bool {
        self.tensors.iter().any(|state| {
            state.storage == storage::STATE
                && !of.is_some_and(|tensor| core::ptr::eq(tensor, state))
                && shares(bytes(state), range)
        })
    }
}

/// Where a tensor lies in the arena.
fn bytes(tensor: &TensorRecord) -> (u32, u32) {
    // That the product fits was checked.
    let is_wide = u32::from(tensor.element == element::I16);
    (tensor.arena_offset, tensor.len.wrapping_shl(is_wide))
}
