//! The models of `onnx.bin.gz`, whose layout `generate.py` describes.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::Read;

const ARCHIVE: &[u8] = include_bytes!("onnx.bin.gz");

/// A model, and what ONNX Runtime gives for it.
pub struct Golden {
    /// Its name; those of single quantised operators begin with `one_`.
    pub name: String,
    /// Whether it is one of real numbers rather than a quantised one.
    pub real: bool,
    /// The `.onnx` file.
    pub model: Vec<u8>,
    /// Samples to calibrate it with.
    pub calibration: Vec<Vec<f32>>,
    /// Rows of inputs.
    pub inputs: Vec<Vec<f32>>,
    /// The outputs for each row.
    pub outputs: Vec<Vec<f32>>,
}

struct Archive<R>(R);

impl<R: Read> Archive<R> {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn u32(&mut self) -> usize {
        u32::from_le_bytes(self.bytes(4).try_into().unwrap()) as usize
    }

    fn floats(&mut self, rows: usize, len: usize) -> Vec<Vec<f32>> {
        let mut row = || {
            let bytes = self.bytes(4 * len);
            let words = bytes.as_chunks::<4>().0.iter();
            words.map(|&word| f32::from_le_bytes(word)).collect()
        };
        (0..rows).map(|_| row()).collect()
    }

    fn golden(&mut self) -> Golden {
        let len = u16::from_le_bytes(self.bytes(2).try_into().unwrap());
        let name = String::from_utf8(self.bytes(len.into())).unwrap();
        let real = self.bytes(1) == [1];
        let len = self.u32();
        let model = self.bytes(len);
        let (samples, rows, input, output) = (self.u32(), self.u32(), self.u32(), self.u32());
        Golden {
            name,
            real,
            model,
            calibration: self.floats(samples, input),
            inputs: self.floats(rows, input),
            outputs: self.floats(rows, output),
        }
    }
}

/// All models.
pub fn goldens() -> Vec<Golden> {
    let mut archive = Archive(flate2::read::GzDecoder::new(ARCHIVE));
    assert_eq!(archive.bytes(8), b"DUNONNX1");
    let count = archive.u32();
    (0..count).map(|_| archive.golden()).collect()
}
