//! A model behind five functions that JavaScript can call, with numbers for pointers. One model at
//! a time, never freed: a test.

use std::cell::RefCell;

use edge_runtime::{Model, Session};

thread_local! {
    static SESSION: RefCell<Option<Session<'static, 'static>>> = const { RefCell::new(None) };
}

fn bytes(len: usize) -> &'static mut [u8] {
    let lines: &'static mut [u128] = Box::leak(vec![0; len.div_ceil(16)].into_boxed_slice());
    // SAFETY: as many bytes, which may hold anything; the owner never comes back.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), len) }
}

/// Room for an image, on a 16-byte boundary.
#[unsafe(no_mangle)]
pub extern "C" fn allocate(len: usize) -> *mut u8 {
    bytes(len).as_mut_ptr()
}

/// Loads an image; false if it is refused or fails its self-test.
///
/// # Safety
/// `image` is what [`allocate`] gave for `len`, and stays as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn load(image: *const u8, len: usize) -> bool {
    // SAFETY: the caller's.
    let image = unsafe { std::slice::from_raw_parts(image, len) };
    let Ok(model) = Model::load(image) else {
        return false;
    };
    let model: &'static Model<'static> = Box::leak(Box::new(model));
    let arena = bytes(model.arena_bytes());
    // SAFETY: the same bytes, signed.
    let arena = unsafe { std::slice::from_raw_parts_mut(arena.as_mut_ptr().cast(), arena.len()) };
    let Ok(mut session) = Session::new(model, arena) else {
        return false;
    };
    let passed = session.self_test();
    SESSION.set(Some(session));
    passed
}

/// Where the input goes.
#[unsafe(no_mangle)]
pub extern "C" fn input() -> *mut i8 {
    with(|session| session.input_mut().as_mut_ptr())
}

/// Its length.
#[unsafe(no_mangle)]
pub extern "C" fn input_len() -> usize {
    with(|session| session.input_mut().len())
}

/// Where the output is after [`run`].
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const i8 {
    with(|session| session.output().as_ptr())
}

/// Its length.
#[unsafe(no_mangle)]
pub extern "C" fn output_len() -> usize {
    with(|session| session.output().len())
}

/// Forgets what the model remembers.
#[unsafe(no_mangle)]
pub extern "C" fn reset() {
    with(Session::reset_state);
}

/// One inference.
#[unsafe(no_mangle)]
pub extern "C" fn run() {
    with(Session::run);
}

fn with<T>(f: impl FnOnce(&mut Session<'static, 'static>) -> T) -> T {
    SESSION.with_borrow_mut(|session| f(session.as_mut().expect("a model is loaded")))
}
