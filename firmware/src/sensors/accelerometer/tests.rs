use super::*;
use embedded_hal::i2c::ErrorKind;
use embedded_hal_mock::eh1::delay::NoopDelay;
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use std::vec;
use std::vec::Vec;

const ADDRESS: u8 = 0x68;
const CONFIG: Config = Config {
    address: SlaveAddr::Default,
    range: AccelerometerRange::G4,
    rate: Rate::Hz1600,
    axis: Axis::Z,
};

fn set_up() -> Vec<Transaction> {
    vec![
        Transaction::write_read(ADDRESS, vec![0x00], vec![0xD1]),
        Transaction::write(ADDRESS, vec![0x40, 0x2C]),
        Transaction::write(ADDRESS, vec![0x41, 0b0101]),
        Transaction::write(ADDRESS, vec![0x7E, 0x11]),
    ]
}

fn not_ready() -> Transaction {
    Transaction::write_read(ADDRESS, vec![0x1B], vec![0x00])
}

fn sample(z: i16, clock: u32) -> [Transaction; 2] {
    let [z0, z1] = z.to_le_bytes();
    let [c0, c1, c2, _] = clock.to_le_bytes();
    [
        Transaction::write_read(ADDRESS, vec![0x1B], vec![0x80]),
        // x and y hold other values, so that a mixed-up axis shows.
        Transaction::write_read(ADDRESS, vec![0x12], vec![1, 2, 3, 4, z0, z1, c0, c1, c2]),
    ]
}

fn accelerometer(then: impl IntoIterator<Item = Transaction>) -> (Accelerometer<Mock>, Mock) {
    let mut expected = set_up();
    expected.extend(then);
    let mock = Mock::new(&expected);
    let sensor = Accelerometer::new(mock.clone(), CONFIG, &mut NoopDelay).unwrap();
    (sensor, mock)
}

#[test]
fn samples_arrive_in_g_and_a_window_spans_calls() {
    let mut then = vec![not_ready()];
    then.extend(sample(8192, 1000)); // 1 g at a range of 4 g
    then.push(not_ready());
    then.extend(sample(-4096, 1016));
    then.extend(sample(1, 1032));
    let (mut sensor, mut bus) = accelerometer(then);
    let mut window = [9.0; 3];
    assert_eq!(sensor.read(&mut window), Ok(false));
    assert_eq!(sensor.read(&mut window), Ok(false));
    assert_eq!(window[0], 1.0);
    assert_eq!(sensor.read(&mut window), Ok(true));
    assert_eq!(window, [1.0, -0.5, 1.0 / 8192.0]);
    assert_eq!(sensor.gaps(), 0);
    bus.done();
}

#[test]
fn a_missed_sample_starts_the_window_again() {
    let mut then = Vec::new();
    then.extend(sample(100, 0xFF_FFF0));
    then.extend(sample(200, 0x00_0003)); // the clock wraps: 19 ticks, no gap
    then.extend(sample(300, 0x00_0023)); // 32 ticks: one sample lost
    then.extend(sample(400, 0x00_0033));
    then.extend(sample(500, 0x00_0043));
    let (mut sensor, mut bus) = accelerometer(then);
    let mut window = [0.0; 3];
    assert_eq!(sensor.read(&mut window), Ok(true));
    assert_eq!(window, [300.0 / 8192.0, 400.0 / 8192.0, 500.0 / 8192.0]);
    assert_eq!(sensor.gaps(), 1);
    bus.done();
}

#[test]
fn a_bus_error_voids_the_window() {
    let mut then = Vec::new();
    then.extend(sample(100, 0));
    then.push(not_ready().with_error(ErrorKind::ArbitrationLoss));
    then.extend(sample(200, 16));
    then.extend(sample(300, 32));
    let (mut sensor, mut bus) = accelerometer(then);
    let mut window = [0.0; 2];
    assert_eq!(
        sensor.read(&mut window),
        Err(AccelerometerError::Bus(ErrorKind::ArbitrationLoss))
    );
    assert_eq!(sensor.read(&mut window), Ok(true));
    assert_eq!(window, [200.0 / 8192.0, 300.0 / 8192.0]);
    bus.done();
}

#[test]
fn another_chip_is_refused() {
    // Nothing may be written to it.
    let mut mock = Mock::new(&[Transaction::write_read(ADDRESS, vec![0x00], vec![0x68])]);
    let result = Accelerometer::new(mock.clone(), CONFIG, &mut NoopDelay);
    assert_eq!(result.err(), Some(AccelerometerError::WrongChip(0x68)));
    mock.done();
}
