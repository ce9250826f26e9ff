//! The archive of random models in `tests/goldens` of the repository.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::Read;

const ARCHIVE: &[u8] = include_bytes!("../../../tests/goldens/litert.bin.gz");

/// One model and what LiteRT made of it.
pub struct Golden {
    pub name: String,
    /// The rows are one sequence: states are kept from row to row.
    pub keeps_state: bool,
    /// The `.tflite` file.
    pub model: Vec<u8>,
    /// For each row all inputs, one after another.
    pub inputs: Vec<Vec<i8>>,
    /// For each row all outputs, one after another.
    pub outputs: Vec<Vec<i8>>,
}

/// Reads the archive; `generate.py` beside it describes the layout.
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

    fn text(&mut self) -> String {
        let len = u16::from_le_bytes(self.bytes(2).try_into().unwrap());
        String::from_utf8(self.bytes(len.into())).unwrap()
    }

    fn golden(&mut self) -> Golden {
        let (name, rounding, note) = (self.text(), self.text(), self.text());
        assert_eq!(rounding, "litert");
        let len = self.u32();
        let model = self.bytes(len);
        let (rows, input, output) = (self.u32(), self.u32(), self.u32());
        let mut tensors = |len: usize| -> Vec<Vec<i8>> {
            let signed = |bytes: Vec<u8>| bytes.into_iter().map(u8::cast_signed).collect();
            (0..rows).map(|_| signed(self.bytes(len))).collect()
        };
        Golden {
            name,
            keeps_state: note.split(' ').any(|word| word == "keep_state"),
            model,
            inputs: tensors(input),
            outputs: tensors(output),
        }
    }
}

/// All of them.
pub fn goldens() -> Vec<Golden> {
    let mut archive = Archive(flate2::read::GzDecoder::new(ARCHIVE));
    assert_eq!(archive.bytes(8), b"DUNGOLD1");
    let count = archive.u32();
    (0..count).map(|_| archive.golden()).collect()
}
