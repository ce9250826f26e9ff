//! Files and the exit code of the host, as Arm's specification "Semihosting for AArch32 and
//! AArch64" has them.

use core::arch::asm;
use core::ffi::CStr;

const OPEN: u32 = 0x01;
const WRITE_CONSOLE: u32 = 0x04;
const WRITE: u32 = 0x05;
const READ: u32 = 0x06;
const SEEK: u32 = 0x0A;
const LENGTH: u32 = 0x0C;
const EXIT_EXTENDED: u32 = 0x20;
/// ADP_Stopped_ApplicationExit.
const APPLICATION_EXIT: usize = 0x20026;
/// `fopen` modes `rb` and `wb`.
const READ_BINARY: usize = 1;
const WRITE_BINARY: usize = 5;

/// Exit code: the report is complete.
pub const DONE: u32 = 0;
/// Exit code: a file is missing, too short or cannot be written.
pub const BAD_FILE: u32 = 2;
/// Exit code: the processor took a fault; the console says where.
pub const FAULTED: u32 = 3;
/// Exit code: the program panicked, which it should not be able to.
pub const PANICKED: u32 = 4;

/// A file of the host.
#[derive(Clone, Copy, Debug)]
pub struct File(usize);

/// The host refused, or the file has ended.
#[derive(Clone, Copy, Debug)]
pub struct FileError;

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`FileError`] where there is none.
    pub fn open(name: &CStr) -> Result<Self, FileError> {
        Self::with_mode(name, READ_BINARY)
    }

    /// Creates a file, or empties the one there is.
    ///
    /// # Errors
    /// [`FileError`] where the host refuses.
    pub fn create(name: &CStr) -> Result<Self, FileError> {
        Self::with_mode(name, WRITE_BINARY)
    }

    fn with_mode(name: &CStr, mode: usize) -> Result<Self, FileError> {
        let length = name.count_bytes();
        // SAFETY: address, mode and length of a name that ends with a zero.
        match unsafe { call(OPEN, &[name.as_ptr() as usize, mode, length]) } {
            usize::MAX => Err(FileError),
            handle => Ok(Self(handle)),
        }
    }

    /// Length of the file in bytes.
    ///
    /// # Errors
    /// [`FileError`] where the host cannot tell.
    pub fn length(self) -> Result<usize, FileError> {
        // SAFETY: a handle.
        match unsafe { call(LENGTH, &[self.0]) } {
            usize::MAX => Err(FileError),
            length => Ok(length),
        }
    }

    /// Lets the next read begin at a byte of the file.
    ///
    /// # Errors
    /// [`FileError`] where the host refuses.
    pub fn seek(self, position: usize) -> Result<(), FileError> {
        // SAFETY: a handle and a position.
        match unsafe { call(SEEK, &[self.0, position]) } {
            0 => Ok(()),
            _ => Err(FileError),
        }
    }

    /// Fills `bytes` from where the last read or seek ended.
    ///
    /// # Errors
    /// [`FileError`] where the file ends first.
    pub fn read(self, bytes: &mut [u8]) -> Result<(), FileError> {
        // SAFETY: a handle, and the address and length of memory that may be written.
        match unsafe { call(READ, &[self.0, bytes.as_mut_ptr() as usize, bytes.len()]) } {
            0 => Ok(()),
            _ => Err(FileError),
        }
    }

    /// As [`Self::read`], bytes taken as `i8`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_i8(self, values: &mut [i8]) -> Result<(), FileError> {
        // SAFETY: the same memory; both types have the same size, alignment and valid values.
        self.read(unsafe {
            core::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), values.len())
        })
    }

    /// Appends all bytes.
    ///
    /// # Errors
    /// [`FileError`] where the host took less.
    pub fn write(self, bytes: &[u8]) -> Result<(), FileError> {
        // SAFETY: a handle, and the address and length of memory that may be read.
        match unsafe { call(WRITE, &[self.0, bytes.as_ptr() as usize, bytes.len()]) } {
            0 => Ok(()),
            _ => Err(FileError),
        }
    }

    /// As [`Self::write`], the two's complement of each value.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_i8(self, values: &[i8]) -> Result<(), FileError> {
        // SAFETY: as in `read_i8`.
        self.write(unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), values.len()) })
    }
}

/// Writes a text to the host's console.
pub fn write_console(text: &CStr) {
    // SAFETY: this call takes the address of the text itself, which ends with a zero.
    unsafe { raw(WRITE_CONSOLE, text.as_ptr() as usize) };
}

/// Ends the emulator with an exit code.
pub fn exit(code: u32) -> ! {
    loop {
        // SAFETY: a reason and an exit code.
        unsafe { call(EXIT_EXTENDED, &[APPLICATION_EXIT, code as usize]) };
    }
}

/// # Safety
/// `arguments` are what the operation takes; an address among them is that of memory that the
/// operation may use as it says.
unsafe fn call(operation: u32, arguments: &[usize]) -> usize {
    // SAFETY: the caller's promise.
    unsafe { raw(operation, arguments.as_ptr() as usize) }
}

/// # Safety
/// `argument` is what the operation takes, see [`call`].
unsafe fn raw(operation: u32, argument: usize) -> usize {
    let result;
    // SAFETY: the host reads and writes only what the caller promised; it changes no other register
    // than r0, and no stack. The compiler takes all memory that it was told of for changed.
    unsafe {
        asm!("bkpt 0xAB", inlateout("r0") operation as usize => result, in("r1") argument,
            options(nostack, preserves_flags))
    };
    result
}
