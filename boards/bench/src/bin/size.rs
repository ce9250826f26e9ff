//! Loads an image and runs it: what a device needs of the runtime and nothing else. Never started;
//! its sections are the flash that the runtime takes.
#![no_std]
#![no_main]

use bench_boards::memory;
use edge_runtime::{Model, Session};

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    let (image, arena) = memory::take();
    if let Ok(model) = Model::load(image)
        && let Ok(mut session) = Session::new(&model, arena)
    {
        loop {
            session.run();
        }
    }
    loop {
        core::hint::spin_loop();
    }
}
