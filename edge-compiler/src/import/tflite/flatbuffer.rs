//! Reads flatbuffers without `unsafe`.
//!
//! Generated accessors verify a whole file first and then follow its offsets unchecked. Here the
//! walk itself goes through the crate's [`Verifier`]: each field is located, bounded and counted
//! against a budget before its bytes are read, and what nothing reads need not be valid.
//! Positions count bytes from the start of the file.

use std::marker::PhantomData;

use flatbuffers::{InvalidFlatbuffer, TableVerifier, Verifier, VerifierOptions};

/// What a read that found damage returns.
pub(super) type Read<T> = Result<T, InvalidFlatbuffer>;

/// Bytes that may be visited for each byte of the file. Objects of a flatbuffer may share their
/// parts, so a small file can claim to be large. Converters share vtables and empty buffers only:
/// every MLPerf Tiny model and a file of tables alone stay below 2.
const VISITS_PER_BYTE: usize = 8;
/// On top of [`VISITS_PER_BYTE`], so that it binds no tiny file.
const SPARE_VISITS: usize = 4096;
/// The fewest bytes of a table that is not shared: the offset that leads to it, and its own
/// offset to its vtable.
const BYTES_PER_TABLE: usize = 8;

/// The limits for a file of `len` bytes: time and memory of a walk stay proportional to it.
pub(super) fn limits(len: usize) -> VerifierOptions {
    VerifierOptions {
        // Every level of the schema is a level of the caller's code: nothing recurses.
        max_depth: usize::MAX,
        max_tables: len / BYTES_PER_TABLE,
        max_apparent_size: len
            .saturating_mul(VISITS_PER_BYTE)
            .saturating_add(SPARE_VISITS),
        ignore_missing_null_terminator: true,
    }
}

/// Where field `id` stands in a vtable, whose first two entries are lengths.
const fn slot(id: u16) -> u16 {
    4 + 2 * id
}

/// A number or truth value inside a table, and its value where the file leaves it out.
pub(super) struct Scalar<T> {
    slot: u16,
    default: T,
}

impl<T> Scalar<T> {
    /// Field `id` of the schema.
    pub(super) const fn new(id: u16, default: T) -> Self {
        Self {
            slot: slot(id),
            default,
        }
    }
}

/// A vector of numbers.
pub(super) struct Numbers<T> {
    slot: u16,
    element: PhantomData<T>,
}

impl<T> Numbers<T> {
    /// Field `id` of the schema.
    pub(super) const fn new(id: u16) -> Self {
        Self {
            slot: slot(id),
            element: PhantomData,
        }
    }
}

/// Which kind of reference a [`Reference`] is.
pub(super) struct ToText;
/// Which kind of reference a [`Reference`] is.
pub(super) struct ToBytes;
/// Which kind of reference a [`Reference`] is.
pub(super) struct ToTable;
/// Which kind of reference a [`Reference`] is.
pub(super) struct ToTables;

/// A string, raw bytes, a table (also the value of a union) or a vector of tables.
pub(super) struct Reference<Kind> {
    slot: u16,
    kind: PhantomData<Kind>,
}

impl<Kind> Reference<Kind> {
    /// Field `id` of the schema.
    pub(super) const fn new(id: u16) -> Self {
        Self {
            slot: slot(id),
            kind: PhantomData,
        }
    }
}

/// A type of fixed size, little-endian in the file.
pub(super) trait Element: Copy {
    /// The value whose bytes `bytes` begins with; `None` if they are too few.
    fn first_of(bytes: &[u8]) -> Option<Self>;
}

macro_rules! element {
    ($($number:ty),*) => {$(
        impl Element for $number {
            fn first_of(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().copied().map(Self::from_le_bytes)
            }
        }
    )*};
}
element!(i8, u8, i32, u32, i64, u64, f32);

impl Element for bool {
    fn first_of(bytes: &[u8]) -> Option<Self> {
        bytes.first().map(|&byte| byte != 0)
    }
}

/// A table whose vtable lies inside the file.
pub(super) struct Table<'v, 'o, 'f> {
    file: &'f [u8],
    fields: TableVerifier<'v, 'o, 'f>,
}

impl<'v, 'o, 'f> Table<'v, 'o, 'f> {
    /// The table that the first word of `file` leads to. `verifier` is one over `file`.
    pub(super) fn root(verifier: &'v mut Verifier<'o, 'f>, file: &'f [u8]) -> Read<Self> {
        let position = target(verifier, 0)?;
        let fields = verifier.visit_table(position)?;
        Ok(Self { file, fields })
    }

    /// The table at `position`, which [`Self::table`] or [`Self::tables`] of this one gave.
    pub(super) fn open(&mut self, position: usize) -> Read<Table<'_, 'o, 'f>> {
        Ok(Table {
            file: self.file,
            fields: self.fields.verifier().visit_table(position)?,
        })
    }

    /// The field's value or its default.
    pub(super) fn scalar<T: Element>(&mut self, field: Scalar<T>) -> Read<T> {
        let Some(position) = self.fields.deref(field.slot)? else {
            return Ok(field.default);
        };
        self.fields.verifier().in_buffer::<T>(position)?;
        let found = self.file.get(position..).and_then(T::first_of);
        found.ok_or_else(|| out_of_bounds(position, size_of::<T>()))
    }

    /// The field's numbers, or `None` where the file leaves it out.
    pub(super) fn numbers<T: Element>(&mut self, field: Numbers<T>) -> Read<Option<Vec<T>>> {
        let Some(bytes) = self.vector::<T>(field.slot)? else {
            return Ok(None);
        };
        let elements = bytes.chunks_exact(size_of::<T>());
        Ok(Some(elements.filter_map(T::first_of).collect()))
    }

    /// The field's text; what is not UTF-8 is replaced, as names are for people only.
    pub(super) fn text(&mut self, field: Reference<ToText>) -> Read<Option<String>> {
        let bytes = self.vector::<u8>(field.slot)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    }

    /// The field's bytes.
    pub(super) fn bytes(&mut self, field: Reference<ToBytes>) -> Read<Option<&'f [u8]>> {
        self.vector::<u8>(field.slot)
    }

    /// Where the table lies that the field leads to.
    pub(super) fn table(&mut self, field: Reference<ToTable>) -> Read<Option<usize>> {
        match self.fields.deref(field.slot)? {
            Some(position) => target(self.fields.verifier(), position).map(Some),
            None => Ok(None),
        }
    }

    /// Where the tables of the field's vector lie, or `None` where the file leaves it out.
    pub(super) fn tables(&mut self, field: Reference<ToTables>) -> Read<Option<Vec<usize>>> {
        let Some(range) = self.vector_range::<u32>(field.slot)? else {
            return Ok(None);
        };
        let verifier = self.fields.verifier();
        let offsets = range.step_by(size_of::<u32>());
        offsets
            .map(|offset| target(verifier, offset))
            .collect::<Read<_>>()
            .map(Some)
    }

    /// The bytes of a vector of `T`, a whole number of them.
    fn vector<T>(&mut self, slot: u16) -> Read<Option<&'f [u8]>> {
        let Some(range) = self.vector_range::<T>(slot)? else {
            return Ok(None);
        };
        let bytes = self.file.get(range.clone());
        bytes
            .map(Some)
            .ok_or_else(|| out_of_bounds(range.start, range.len()))
    }

    /// Where the elements of a vector of `T` lie: aligned and inside the file.
    fn vector_range<T>(&mut self, slot: u16) -> Read<Option<std::ops::Range<usize>>> {
        let Some(position) = self.fields.deref(slot)? else {
            return Ok(None);
        };
        let verifier = self.fields.verifier();
        let length_at = target(verifier, position)?;
        let count = to_usize(verifier.get_uoffset(length_at)?);
        let start = length_at.saturating_add(size_of::<u32>());
        let size = count.saturating_mul(size_of::<T>());
        verifier.is_aligned::<T>(start)?;
        verifier.range_in_buffer(start, size)?;
        Ok(Some(start..start.saturating_add(size)))
    }
}

/// Where the offset at `position` leads.
fn target(verifier: &mut Verifier<'_, '_>, position: usize) -> Read<usize> {
    let offset = to_usize(verifier.get_uoffset(position)?);
    Ok(position.saturating_add(offset))
}

fn to_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn out_of_bounds(start: usize, size: usize) -> InvalidFlatbuffer {
    InvalidFlatbuffer::RangeOutOfBounds {
        range: start..start.saturating_add(size),
        error_trace: Default::default(),
    }
}
