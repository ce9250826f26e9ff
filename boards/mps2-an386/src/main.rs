//! Dunlin's firmware on the MPS2 board with the AN386 image (Cortex-M4F), as QEMU emulates it.
//!
//! Only what is the board's own is here: two UARTs, a timer, the flash, the stack, and a loop that
//! carries bytes between them and [`firmware::App`]. UART0 is the sync link, UART1 the sensor port
//! (see [`firmware::emulated`]), UART2 is silent unless something is wrong.
#![no_std]
#![no_main]

mod clock;
mod flash;
mod panic;
mod port;
mod stack;
mod uart;

use core::arch::asm;

use clock::{Clock, Counter};
use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
use edge_sync::{Decoder, MappedFlash, Partitions, frame::RECEIVE_BUFFER};
use firmware::{
    App, DeviceConfig, FRAME_LEN, Memory, Stage, StepError, counts_len,
    emulated::{self, FactoryRecord, FromBoard, Info, Ready, Refusal, StepTrace, ToBoard},
};
use flash::Flash;
use port::{MAX_WINDOW, Row, RowSensor};
use uart::Uart;
use zerocopy::{FromBytes, IntoBytes};

/// `hardware_id` of `board.toml`.
const HARDWARE_ID: u32 = 0x0386;
const FIRMWARE_VERSION: u32 = 1;
const UART0: usize = 0x4000_4000;
const UART1: usize = 0x4000_5000;

/// With [`POOL`] and the rest of the statics it stays below `ram_bytes - firmware_ram_bytes` of
/// `board.toml`: what the compiler lets a model take is here.
const ARENA: usize = 3 << 20;
const MAX_CLASSES: usize = 64;
const POOL: usize = 64;

type BoardMemory =
    Memory<MAX_WINDOW, MAX_WINDOW, { counts_len(MAX_WINDOW, MAX_CLASSES) }, ARENA, POOL>;

#[entry]
fn main() -> ! {
    static mut MEMORY: BoardMemory = BoardMemory::new();
    static mut BUFFERS: PortBuffers = PortBuffers::new();

    stack::paint();
    let mut clock = Clock::start();
    // SAFETY: the registers of two CMSDK UARTs, each driven by this value only.
    let (mut link, mut sensor_port) = unsafe { (Uart::new(UART0), Uart::new(UART1)) };
    // SAFETY: the ranges of `emulated` are multiples of a sector and do not overlap.
    let (mut partitions, factory) = unsafe {
        let slot = |offset| Flash::new(offset, emulated::SLOT_LEN);
        let partitions = Partitions {
            slots: emulated::SLOTS.map(slot),
            journal: Flash::new(emulated::JOURNAL, emulated::JOURNAL_LEN),
            log: Flash::new(emulated::LOG, emulated::LOG_LEN),
        };
        (partitions, Flash::new(emulated::FACTORY, emulated::SECTOR))
    };
    let Some(factory) = FactoryRecord::from_bytes(factory.mapped()) else {
        panic::halt(format_args!("the flash was never provisioned"));
    };
    let config = DeviceConfig {
        device_id: factory.device_id,
        hardware_id: HARDWARE_ID,
        firmware_version: FIRMWARE_VERSION,
        public_key: factory.public_key,
    };
    let row = Row::new();
    let app = match App::boot(&mut partitions, MEMORY.buffers(), &config, RowSensor(&row)) {
        Ok(app) => app,
        Err(error) => panic::halt(format_args!("the application did not start: {error:?}")),
    };
    run(app, &row, &mut clock, &mut link, &mut sensor_port, BUFFERS)
}

/// Room for what travels on the ports.
struct PortBuffers {
    /// One frame of the sensor port as it arrives.
    received: [u8; RECEIVE_BUFFER],
    /// One message of the sensor port before it is framed.
    payload: [u8; RECEIVE_BUFFER],
    /// One frame of either port as it leaves.
    wire: [u8; FRAME_LEN],
}

impl PortBuffers {
    const fn new() -> Self {
        PortBuffers {
            received: [0; RECEIVE_BUFFER],
            payload: [0; RECEIVE_BUFFER],
            wire: [0; FRAME_LEN],
        }
    }
}

type BoardApp<'a> = App<'a, RowSensor<'a>, Flash>;

/// Carries bytes until the application wants another model, then restarts the processor.
fn run(
    mut app: BoardApp<'_>,
    row: &Row,
    clock: &mut Clock,
    link: &mut Uart,
    sensor_port: &mut Uart,
    buffers: &mut PortBuffers,
) -> ! {
    let PortBuffers {
        received,
        payload,
        wire,
    } = buffers;
    let ready = FromBoard::Ready(ready(&app));
    port::send(sensor_port, &ready, payload, wire);
    let mut decoder = Decoder::new(&mut received[..]);
    let mut polled_ms = None;
    loop {
        let now = clock.now_ms();
        let mut arrived = [0; 64];
        let mut len = 0;
        for place in &mut arrived {
            let Some(byte) = link.receive() else { break };
            *place = byte;
            len += 1;
        }
        if len > 0 {
            app.on_link(now, arrived.get(..len).unwrap_or(&[]));
        }
        // Looking for something to send costs more than looking for a byte.
        if len > 0 || polled_ms != Some(now) {
            polled_ms = Some(now);
            send_link(&mut app, now, link, wire);
            if app.wants_reboot() {
                SCB::sys_reset();
            }
        }
        // A frame is read to its end without a look at the link: the rows are the bulk, and
        // nothing on the link is lost by waiting.
        while let Some(byte) = sensor_port.receive() {
            if let Some(message) = decoder.push(byte) {
                if let Some(reply) = serve(&mut app, row, now, message) {
                    port::send(sensor_port, &reply, payload, wire);
                }
                break;
            }
        }
    }
}

fn send_link(app: &mut BoardApp<'_>, now: u64, link: &mut Uart, wire: &mut [u8]) {
    loop {
        let len = app.poll_link(now, wire);
        if len == 0 {
            return;
        }
        link.send(wire.get(..len).unwrap_or(&[]));
    }
}

fn ready(app: &BoardApp<'_>) -> Ready {
    Ready {
        epoch: app.epoch(),
        model_version: app.model_version().unwrap_or(0),
        model_hash: app.model_hash().unwrap_or([0; 32]),
        trial: app.is_on_trial(),
        window: app
            .model()
            .map_or(0, |model| model.features().window as u16),
    }
}

/// Answers a message of the sensor port; nothing for one that was meant for an earlier boot.
fn serve<'a>(
    app: &'a mut BoardApp<'_>,
    row: &Row,
    now: u64,
    message: &[u8],
) -> Option<FromBoard<'a>> {
    let Ok((epoch, message)) = postcard::from_bytes::<(u32, ToBoard<'_>)>(message) else {
        return Some(FromBoard::Refused(Refusal::Unknown));
    };
    if epoch != app.epoch() {
        return None;
    }
    Some(match message {
        ToBoard::Row(samples) => step(app, row, now, samples),
        ToBoard::Infer(input) => infer(app, input),
        ToBoard::EndRound => {
            app.end_round();
            FromBoard::RoundEnded
        }
        ToBoard::Query => FromBoard::Info(Info {
            stack_peak: stack::peak(),
            pending_records: app.pending_records(),
            arena: app.model().map_or(0, |model| model.arena_bytes() as u32),
            model_version: app.model_version().unwrap_or(0),
            model_hash: app.model_hash().unwrap_or([0; 32]),
            trial: app.is_on_trial(),
        }),
        ToBoard::Count(iterations) => FromBoard::Counted(count_loop(iterations)),
    })
}

/// The model alone on one input.
fn infer<'a>(app: &'a mut BoardApp<'_>, input: &[u8]) -> FromBoard<'a> {
    let Some(needed) = app.model().map(|model| model.input().len) else {
        return FromBoard::Refused(Refusal::NoModel);
    };
    let input = <[i8]>::ref_from_bytes(input).ok();
    match input.and_then(|input| app.infer(input)) {
        Some(output) => FromBoard::Output(output.as_bytes()),
        None => FromBoard::Refused(Refusal::Length {
            needed: needed as u16,
        }),
    }
}

/// One window through the application, with the instructions between its stages.
fn step<'a>(app: &'a mut BoardApp<'_>, row: &Row, now: u64, samples: &[u8]) -> FromBoard<'a> {
    let Some(window) = app.model().map(|model| model.features().window) else {
        return FromBoard::Refused(Refusal::NoModel);
    };
    if !row.put(samples, window) {
        return FromBoard::Refused(Refusal::Length {
            needed: window as u16,
        });
    }
    let [mut sensed, mut extracted, mut inferred] = [0; 3];
    let counter = Counter::start();
    let step = app.step_observed(now, &mut |stage| match stage {
        Stage::Sensed => sensed = counter.read(),
        Stage::Extracted => extracted = counter.read(),
        Stage::Inferred => inferred = counter.read(),
    });
    match step {
        Ok(Some(step)) => FromBoard::Step(StepTrace {
            epoch: step.epoch,
            window: step.window,
            class: step.class,
            confidence: step.confidence,
            instructions_features: extracted - sensed,
            instructions_model: inferred - extracted,
            features: step.features.as_bytes(),
            output: step.output.as_bytes(),
        }),
        Err(StepError::NotFinite) => FromBoard::Refused(Refusal::NotFinite),
        // Neither can be: the row is there, and a model that was loaded has a sound pipeline.
        Ok(None) | Err(_) => FromBoard::Refused(Refusal::Unknown),
    }
}

/// Instructions of a loop of two instructions, by the counter that counts inferences. Everything is
/// in one block, so that nothing but the loop lies between the two readings.
fn count_loop(iterations: u32) -> u32 {
    let counter = Counter::start();
    let (first, last): (u32, u32);
    // SAFETY: reads the timer's counter, which changes nothing, and counts a register down.
    unsafe {
        asm!(
            "ldr {first}, [{counter}]",
            "2:",
            "subs {left}, #1",
            "bne 2b",
            "ldr {last}, [{counter}]",
            counter = in(reg) clock::COUNTER,
            left = inout(reg) iterations.max(1) => _,
            first = out(reg) first,
            last = out(reg) last,
            options(nostack, readonly),
        );
    }
    // The register counts down; the second reading is an instruction too.
    counter.at(!last) - counter.at(!first) - 1
}
