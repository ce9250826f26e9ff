//! The self-test: a specified generator in place of stored inputs, a hash in place of stored
//! outputs, so that it costs 48 bytes of the image.

use crate::session::Session;
use sha2::{Digest, Sha256};

/// The generator that `FORMAT.md` specifies: xorshift32 with the shifts 13, 17, 5; each step gives
/// one byte, the topmost of the new state.
#[derive(Clone, Copy, Debug)]
pub struct Generator(u32);

impl Generator {
    /// Starts it; `seed` is never zero in an image (zero would give only zeros).
    pub const fn new(seed: u32) -> Self {
        Self(seed)
    }

    /// The next byte, read as an `i8`.
    pub const fn next_i8(&mut self) -> i8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 24) as u8 as i8
    }
}

/// Runs the session's model `rounds` times on consecutive bytes of the generator and returns the
/// SHA-256 over all outputs. The compiler stores it, a device compares it.
pub fn digest(session: &mut Session<'_, '_>, seed: u32, rounds: u32) -> [u8; 32] {
    let mut generator = Generator::new(seed);
    let mut hash = Sha256::new();
    for _ in 0..rounds {
        for value in session.input_mut() {
            *value = generator.next_i8();
        }
        session.run();
        hash.update(zerocopy::IntoBytes::as_bytes(session.output()));
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::Generator;

    #[test]
    fn the_generator_is_the_one_of_the_document() {
        // Seed 1: states 270369, 67634689, 2647435461, 307599695 (published for xorshift32).
        let mut generator = Generator::new(1);
        let bytes = [(); 4].map(|()| generator.next_i8());
        let top = |state: u32| (state >> 24) as u8 as i8;
        let states = [270_369, 67_634_689, 2_647_435_461, 307_599_695];
        assert_eq!(bytes, states.map(top));
        assert_eq!(generator.0, 307_599_695);
    }
}
