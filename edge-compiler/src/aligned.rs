//! Owned bytes at an address that a model image needs.

use std::ops::{Deref, DerefMut};

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

/// Bytes of a cache line.
pub(crate) const LINE: usize = 64;

/// Bytes on the heap whose first address is a multiple of 64: more than the 16 that `Model::load`
/// needs, so that vectors of weights do not lie across two lines of a cache. Used wherever a host
/// holds an image.
#[derive(Clone, Default)]
pub struct AlignedBytes {
    blocks: Vec<Block>,
    len: usize,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(64))]
struct Block([u8; LINE]);

impl AlignedBytes {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let blocks = vec![Block::new_zeroed(); len.div_ceil(LINE)];
        Self { blocks, len }
    }

    /// The bytes as an arena for `Session::new`.
    pub fn as_i8_mut(&mut self) -> &mut [i8] {
        zerocopy::transmute_mut!(&mut **self)
    }
}

impl From<&[u8]> for AlignedBytes {
    fn from(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeroed(bytes.len());
        aligned.copy_from_slice(bytes);
        aligned
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.blocks.as_bytes()[..self.len]
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.blocks.as_mut_bytes()[..self.len]
    }
}

impl AsRef<[u8]> for AlignedBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for AlignedBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for AlignedBytes {}

impl std::fmt::Debug for AlignedBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBytes({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_bytes_and_alignment() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            let aligned = AlignedBytes::from(&bytes[..]);
            assert_eq!(&aligned[..], &bytes[..]);
            assert_eq!(aligned.as_ptr() as usize % LINE, 0);
        }
    }
}
