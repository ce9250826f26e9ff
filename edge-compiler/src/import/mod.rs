//! Readers of other tools' model files.

pub mod lower;
pub mod tflite;

use std::path::Path;

/// The kinds of files that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// TensorFlow Lite: [`lower::import`].
    Tflite,
    /// ONNX, which the crate `edge-import-onnx` reads.
    Onnx,
}

impl Format {
    /// By what the file holds, or where that says nothing by its extension, so that a damaged file is
    /// refused by the reader that can say what is wrong with it.
    pub fn of(path: &Path, contents: &[u8]) -> Option<Self> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is =
            |name: &str| extension.is_some_and(|extension| extension.eq_ignore_ascii_case(name));
        if contents.get(4..8) == Some(b"TFL3") || is("tflite") {
            return Some(Self::Tflite);
        }
        // Nothing in an ONNX file says what it is.
        is("onnx").then_some(Self::Onnx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_and_extension_say_what_a_file_is() {
        let of = |path: &str, contents: &[u8]| Format::of(Path::new(path), contents);
        assert_eq!(of("model", b"\x1c\0\0\0TFL3\0\0"), Some(Format::Tflite));
        assert_eq!(of("model.TFLITE", b""), Some(Format::Tflite));
        assert_eq!(of("model.bin", b"\x1c\0\0\0TFL2"), None);
        assert_eq!(of("tflite", b""), None);
        assert_eq!(of("model.onnx", b"\x08\x08"), Some(Format::Onnx));
        assert_eq!(
            of("model.onnx", b"\x1c\0\0\0TFL3\0\0"),
            Some(Format::Tflite)
        );
    }
}
