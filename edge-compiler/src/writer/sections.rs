//! The sections of an image and their order.

use edge_runtime::format::{ALIGNMENT, DriftHeader, FeatureHeader, Header, Section};
use zerocopy::IntoBytes;

use super::narrow;
use crate::aligned::AlignedBytes;
use crate::error::CompileError;
use crate::package::{DriftSpec, FeatureKind, FeatureSpec};

/// The bytes of each section, in the order in which they lie in the image.
pub(super) struct Parts<'a> {
    pub tensors: &'a [u8],
    pub operators: &'a [u8],
    pub constants: &'a [u8],
    /// What the constants start at a multiple of, itself one of 16.
    pub constants_alignment: usize,
    pub features: &'a [u8],
    pub labels: &'a [u8],
    pub drift: &'a [u8],
    pub self_test: &'a [u8],
    pub metadata: &'a [u8],
}

impl Parts<'_> {
    /// The place of the constants among all.
    const CONSTANTS: usize = 2;

    fn all(&self) -> [&[u8]; 8] {
        [
            self.tensors,
            self.operators,
            self.constants,
            self.features,
            self.labels,
            self.drift,
            self.self_test,
            self.metadata,
        ]
    }

    /// Where each section starts, and where the last one ends: multiples of 16.
    fn places(&self) -> ([usize; 8], usize) {
        let mut end = size_of::<Header>();
        let mut starts = [0; 8];
        for (index, (start, bytes)) in starts.iter_mut().zip(self.all()).enumerate() {
            if index == Self::CONSTANTS {
                end = end.next_multiple_of(self.constants_alignment);
            }
            *start = end;
            end += bytes.len().next_multiple_of(ALIGNMENT);
        }
        (starts, end)
    }

    /// Bytes of the image, a multiple of 16.
    pub fn image_len(&self) -> usize {
        self.places().1
    }

    /// The image, with its hash still open.
    pub fn join(&self, mut header: Header) -> Result<AlignedBytes, CompileError> {
        let mut image = AlignedBytes::zeroed(self.image_len());
        header.image_len = narrow("bytes", image.len() as u64)?;
        let (starts, _) = self.places();
        let mut sections = [Section::default(); 8];
        let places = starts.into_iter().zip(self.all());
        for (section, (start, bytes)) in sections.iter_mut().zip(places) {
            // Within `image_len`, which fits.
            *section = Section {
                offset: start as u32,
                len: bytes.len() as u32,
            };
            image[start..start + bytes.len()].copy_from_slice(bytes);
        }
        [
            header.tensors,
            header.operators,
            header.constants,
            header.features,
            header.labels,
            header.drift,
            header.self_test,
            header.metadata,
        ] = sections;
        image[..size_of::<Header>()].copy_from_slice(header.as_bytes());
        Ok(image)
    }
}

/// Empty where the input comes quantised.
pub(super) fn features(spec: &FeatureSpec) -> Result<Vec<u8>, CompileError> {
    if spec.kind == FeatureKind::None {
        return Ok(Vec::new());
    }
    let header = FeatureHeader {
        kind: spec.kind.code(),
        window: narrow("samples in a window", spec.window as u64)?,
        len: narrow("features", spec.offset.len() as u64)?,
        bands: narrow("bands", spec.bands as u64)?,
        sample_rate_hz: spec.sample_rate_hz,
        reserved: [0; 3],
    };
    let parts = [
        header.as_bytes(),
        spec.offset.as_bytes(),
        spec.gain.as_bytes(),
    ];
    Ok(parts.concat())
}

/// Empty where there is no reference.
pub(super) fn drift(spec: &DriftSpec) -> Result<Vec<u8>, CompileError> {
    if *spec == DriftSpec::default() {
        return Ok(Vec::new());
    }
    let header = DriftHeader {
        features: narrow("monitored features", spec.edges.len() as u64)?,
        windows: spec.windows,
        classes: narrow("classes", spec.classes.len() as u64)?,
        reserved: 0,
    };
    let mut bytes = header.as_bytes().to_vec();
    for edges in &spec.edges {
        bytes.extend_from_slice(edges.as_bytes());
        bytes.push(0);
    }
    bytes.extend_from_slice(spec.counts.as_bytes());
    bytes.extend_from_slice(spec.confidence.as_bytes());
    bytes.extend_from_slice(spec.classes.as_bytes());
    Ok(bytes)
}
