//! Which model a boot runs.

use edge_sync::MappedFlash;
use edge_sync::slots::{self, SlotError, SlotIndex};

use super::engine::Limits;

/// Boots the slots until the model to run is one that can: a model on trial that cannot is given
/// up, and the confirmed one takes its place.
pub fn settle<F: MappedFlash>(
    journal: &mut F,
    slots: [&F; 2],
    limits: &Limits,
    arena: &mut [i8],
) -> Result<slots::Boot, SlotError<F::Error>> {
    let mut boot = slots::boot(journal, slots)?;
    // The second time it is the confirmed model, if any.
    for _ in 0..2 {
        let Some(running) = boot.running else {
            return Ok(boot);
        };
        let [a, b] = slots;
        let slot = match running.slot {
            SlotIndex::A => a,
            SlotIndex::B => b,
        };
        let image = slot.mapped().get(..running.image.len as usize);
        let Err(reason) = limits.check(image.unwrap_or_default(), arena) else {
            return Ok(boot);
        };
        if !running.trial {
            break;
        }
        boot.slots.fail_trial(journal, reason)?;
        boot = slots::boot(journal, slots)?;
        boot.fallen_back = Some((running.image.version, reason));
    }
    boot.running = None;
    Ok(boot)
}
