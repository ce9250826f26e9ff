//! Short runs of bytes, where a call to `memset` or `memcpy` costs more than the run. The fences cost
//! nothing; they keep the compiler from making such a call of the loops.

use core::sync::atomic::{Ordering, compiler_fence};

/// Writes `len` bytes of `value`; returns their end.
///
/// # Safety
///
/// `to` has room for them.
#[inline(always)]
pub(super) unsafe fn fill(mut to: *mut u8, value: u8, mut len: usize) -> *mut u8 {
    let word = u32::from(value) * 0x0101_0101;
    // SAFETY: as the caller says.
    unsafe {
        while len >= 4 {
            to.cast::<u32>().write_unaligned(word);
            compiler_fence(Ordering::SeqCst);
            to = to.add(4);
            len -= 4;
        }
        if len & 2 != 0 {
            to.cast::<u16>().write_unaligned(word as u16);
            to = to.add(2);
        }
        if len & 1 != 0 {
            to.write(value);
            to = to.add(1);
        }
    }
    to
}

/// Copies `len` bytes, which do not overlap; returns the end of the copy.
///
/// # Safety
///
/// `from` can be read, `to` has room.
#[inline(always)]
pub(super) unsafe fn copy(mut to: *mut u8, mut from: *const u8, mut len: usize) -> *mut u8 {
    // SAFETY: as the caller says.
    unsafe {
        while len >= 16 {
            // Not as one value, which would be a call where the code is for size, nor in a loop, which
            // would stay one.
            let (read, write) = (from.cast::<u32>(), to.cast::<u32>());
            write.write_unaligned(read.read_unaligned());
            write.add(1).write_unaligned(read.add(1).read_unaligned());
            write.add(2).write_unaligned(read.add(2).read_unaligned());
            write.add(3).write_unaligned(read.add(3).read_unaligned());
            compiler_fence(Ordering::SeqCst);
            to = to.add(16);
            from = from.add(16);
            len -= 16;
        }
        while len >= 4 {
            let word = from.cast::<u32>().read_unaligned();
            to.cast::<u32>().write_unaligned(word);
            compiler_fence(Ordering::SeqCst);
            to = to.add(4);
            from = from.add(4);
            len -= 4;
        }
        if len & 2 != 0 {
            let half = from.cast::<u16>().read_unaligned();
            to.cast::<u16>().write_unaligned(half);
            to = to.add(2);
            from = from.add(2);
        }
        if len & 1 != 0 {
            to.write(from.read());
            to = to.add(1);
        }
    }
    to
}
