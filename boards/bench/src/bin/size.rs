//! Loads an image and runs it: what a device needs of the runtime for one model and nothing else.
//! Never started; what its sections have beyond those of the program `empty` is the flash that the
//! runtime takes for the model, the model not counted.
//!
//! `DUNLIN_IMAGE` names the image when the program is compiled: its kernels are linked, and no
//! others, and of these the cases that it needs. The program does not contain it but takes it from where the board would have it.
#![no_std]
#![no_main]

use bench_boards::{LEFT_OUT, memory};
use core::hint::black_box;
use edge_runtime::kernels::{Kernel, cases_of_image, native_for, of_image, of_image_len};
use edge_runtime::{Model, Session};

const IMAGE: &[u8] = include_bytes!(env!("DUNLIN_IMAGE"));

/// Its cases, without what the features say.
const CASES: u64 = cases_of_image(IMAGE) & !LEFT_OUT;

static KERNELS: [Kernel; of_image_len(IMAGE)] = match of_image(IMAGE, native_for::<CASES>()) {
    Some(kernels) => kernels,
    None => panic!("the image was compiled for another board"),
};

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    let (image, arena) = memory::take();
    if let Ok(model) = Model::load_in::<CASES>(image, &KERNELS)
        && let Ok(mut session) = Session::new(&model, arena)
    {
        loop {
            black_box(session.input_mut());
            session.run();
            black_box(session.output());
        }
    }
    loop {
        core::hint::spin_loop();
    }
}
