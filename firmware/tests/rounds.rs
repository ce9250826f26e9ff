//! Rounds of windows on a virtual board: what is answered, counted, logged and brought home.

mod common;

use common::{CLASSES, Server, WINDOW, config, image, image_of, sync, window};
use edge_runtime::{Model, Monitor, Session};
use edge_sync::Record;
use edge_sync::message::{Policy, Selection};
use edge_sync::record::Event;
use firmware::StepError;
use firmware::virtual_board::{StepReport, VirtualBoard, VirtualBoardConfig};

fn policy(sample_permille: u16, sample_max: u16, selection: Selection) -> Policy {
    Policy {
        sample_permille,
        sample_max,
        selection,
        ..Policy::default()
    }
}

/// A board on version 1 that has met its server.
fn met(config: VirtualBoardConfig, policy: Policy) -> (VirtualBoard, Server, u64) {
    let mut board = VirtualBoard::new(config, Some((&image(0, 0), 1))).expect("the board boots");
    let (mut server, mut now) = (Server::new(policy), 0);
    sync(&mut board, &mut server, &mut now);
    (board, server, now)
}

/// Windows that differ in every sample, from a seed.
fn windows(seed: u32, count: usize) -> Vec<[f32; WINDOW]> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut all = vec![[0.0; WINDOW]; count];
    all.iter_mut()
        .flatten()
        .for_each(|sample| *sample = 6.0 * next());
    all
}

fn run(board: &mut VirtualBoard, windows: &[[f32; WINDOW]]) -> Vec<StepReport> {
    windows
        .iter()
        .map(|window| {
            board.push_window(window);
            board.step(0).expect("an answer")
        })
        .collect()
}

#[test]
fn a_board_answers_with_the_bytes_that_the_host_computes() {
    let (mut board, ..) = met(config(), Policy::default());
    let image = image(0, 0);
    let model = Model::load(&image).unwrap();
    let mut arena = Box::new(edge_runtime::Arena::<1024>::new());
    for (number, window) in windows(1, 200).iter().enumerate() {
        let report = run(&mut board, &[*window]).remove(0);
        let mut session = Session::new(&model, arena.as_mut_slice()).unwrap();
        let mut scratch = [0.0; 2 * WINDOW];
        let pipeline = model.features();
        pipeline
            .run(window, &mut scratch, session.input_mut())
            .unwrap();
        let features = session.input_mut().to_vec();
        session.run();
        assert_eq!(report.features, features);
        assert_eq!(report.output, session.output());
        let top = *session.output().iter().max().unwrap();
        assert_eq!(session.output()[usize::from(report.class)], top);
        assert_eq!(i16::from(report.confidence), i16::from(top) + 128);
        assert_eq!((report.epoch, report.window), (1, number as u32));
    }
}

#[test]
fn every_window_comes_home_as_an_inference() {
    let (mut board, mut server, mut now) = met(config(), Policy::default());
    let mut reports = run(&mut board, &windows(2, 100));
    sync(&mut board, &mut server, &mut now);
    board.reboot().unwrap();
    reports.extend(run(&mut board, &windows(3, 50)));
    sync(&mut board, &mut server, &mut now);
    let mut stored = Vec::new();
    for (key, bytes) in &server.records {
        if let Ok(Record::Inference {
            window,
            model,
            class,
            confidence,
            ..
        }) = Record::decode(bytes)
        {
            assert_eq!(model, 1);
            stored.push((key.epoch, window, class, confidence));
        }
    }
    let produced: Vec<_> = reports
        .iter()
        .map(|r| (r.epoch, r.window, r.class, r.confidence))
        .collect();
    assert_eq!(stored, produced);
    assert_eq!(board.with(|app| app.pending_records()), Some(0));
}

/// The statistics that came home, each put together from its chunks: windows and counts.
fn statistics(server: &Server) -> Vec<(u32, Vec<u16>)> {
    let mut all: Vec<(u32, Vec<u16>)> = Vec::new();
    for record in server.decoded() {
        let Record::Statistics {
            model,
            windows,
            offset,
            total,
            counts,
        } = record
        else {
            continue;
        };
        assert_eq!(model, 1);
        if offset == 0 {
            all.push((windows, Vec::new()));
        }
        let (same, whole) = all.last_mut().expect("the first chunk comes first");
        assert_eq!((*same, whole.len()), (windows, usize::from(offset)));
        let pairs = counts.chunks_exact(2);
        whole.extend(pairs.map(|pair| u16::from_le_bytes([pair[0], pair[1]])));
        assert!(whole.len() <= usize::from(total));
    }
    all
}

#[test]
fn statistics_sum_to_the_windows_that_were_stepped() {
    let (mut board, mut server, mut now) = met(config(), Policy::default());
    let image = image(0, 0);
    let model = Model::load(&image).unwrap();
    let len = Monitor::len(model.drift_reference());
    let mut expected = vec![0_u16; len];
    let mut monitor = Monitor::new(model.drift_reference(), &mut expected).unwrap();
    for round in 0..5 {
        for report in run(&mut board, &windows(10 + round, 20 + round as usize)) {
            monitor.record(&report.features, &report.output);
        }
        board.end_round();
    }
    // A round without windows says nothing.
    board.end_round();
    sync(&mut board, &mut server, &mut now);
    let rounds = statistics(&server);
    let windows: Vec<u32> = rounds.iter().map(|(windows, _)| *windows).collect();
    assert_eq!(windows, [20, 21, 22, 23, 24]);
    let mut sum = vec![0; len];
    for (_, counts) in &rounds {
        assert_eq!(counts.len(), len);
        sum.iter_mut()
            .zip(counts)
            .for_each(|(sum, count)| *sum += count);
    }
    assert_eq!(sum, monitor.counts());
}

#[test]
fn statistics_longer_than_a_record_come_in_chunks() {
    let image = image_of(0, 0, 256);
    let config = VirtualBoardConfig {
        log_bytes: 128 << 10,
        ..config()
    };
    let mut board = VirtualBoard::new(config, Some((&image, 1))).unwrap();
    let (mut server, mut now) = (Server::new(Policy::default()), 0);
    for _ in 0..7 {
        board.push_window(&[0.5; 256]);
        board.step(0).unwrap();
    }
    board.end_round();
    sync(&mut board, &mut server, &mut now);
    let chunks = server
        .decoded()
        .filter(|r| matches!(r, Record::Statistics { .. }))
        .count();
    assert_eq!(chunks, 2);
    let [(7, counts)] = &statistics(&server)[..] else {
        panic!("one round of seven")
    };
    assert_eq!(counts.len(), 256 * 16 + 16 + CLASSES + 1);
    assert_eq!(
        counts.iter().map(|c| u32::from(*c)).sum::<u32>(),
        7 * (256 + 3)
    );
}

/// The samples that came home: window and its samples.
fn samples(server: &Server) -> Vec<(u32, Vec<f32>)> {
    let samples = server.decoded().filter_map(|record| match record {
        Record::Sample {
            window, samples, ..
        } => {
            let values = samples.chunks_exact(4);
            let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Some((window, values.collect()))
        }
        _ => None,
    });
    samples.collect()
}

#[test]
fn the_policy_bounds_the_samples_that_come_home() {
    let default = Policy::default().selection;
    // The pool of the test board holds eight.
    let cases = [
        (policy(100, 50, default), 39, 3), // 3.9, rounded down
        (policy(100, 2, default), 39, 2),
        (policy(1000, 50, default), 39, 8),
        (policy(24, 50, default), 40, 0), // 0.96
        (policy(100, 50, Selection::Random), 39, 3),
        (Policy::default(), 39, 0),
    ];
    for (policy, count, expected) in cases {
        let (mut board, mut server, mut now) = met(config(), policy);
        let windows = windows(4, count);
        run(&mut board, &windows);
        board.end_round();
        sync(&mut board, &mut server, &mut now);
        let home = samples(&server);
        assert_eq!(home.len(), expected, "{policy:?}");
        for (number, values) in home {
            assert_eq!(values, windows[number as usize], "raw samples, bit for bit");
        }
        // The next round starts from nothing.
        run(&mut board, &windows[..1]);
        board.end_round();
        sync(&mut board, &mut server, &mut now);
        let home = samples(&server);
        let again = home.len() - expected;
        assert_eq!(again, usize::from(policy.sample_permille == 1000));
        let fresh = home.iter().filter(|(number, _)| *number == count as u32);
        assert_eq!(fresh.count(), again, "a window of the round before");
    }
}

#[test]
fn a_rare_window_comes_home() {
    let (mut board, mut server, mut now) =
        met(config(), policy(50, 9, Policy::default().selection));
    for number in 0..60 {
        let rare = number == 33;
        board.push_window(&window(
            if rare { 3 } else { 0 },
            if rare { 5.0 } else { 1.0 },
        ));
        board.step(0).unwrap();
    }
    board.end_round();
    sync(&mut board, &mut server, &mut now);
    assert!(samples(&server).iter().any(|(number, _)| *number == 33));
}

#[test]
fn what_is_not_finite_is_passed_over_counted_and_reported() {
    let (mut board, mut server, mut now) = met(config(), Policy::default());
    let good = window(2, 1.0);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut window = good;
        window[5] = bad;
        board.push_window(&window);
        board.push_window(&good);
    }
    board.push_window(&good[1..]);
    board.push_window(&[]);
    let answers: Vec<_> = std::iter::from_fn(|| board.step(0)).collect();
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|answer| answer.class == 2));
    let counters = board.with(|app| app.counters()).unwrap();
    assert_eq!(
        (
            counters.windows,
            counters.not_finite,
            counters.sensor_faults
        ),
        (3, 3, 2)
    );
    // The typed errors, as a board's own loop sees them.
    board.push_window(&[f32::NAN; WINDOW]);
    let error = board.with(|app| app.step(0).err());
    assert_eq!(error, Some(Some(StepError::NotFinite)));
    board.end_round();
    board.end_round();
    sync(&mut board, &mut server, &mut now);
    let faults: Vec<u32> = server
        .decoded()
        .filter_map(|record| match record {
            Record::Event(Event::SensorFault { count }) => Some(count),
            _ => None,
        })
        .collect();
    assert_eq!(faults, [6]);
    assert_eq!(statistics(&server)[0].0, 3);
}

#[test]
fn a_full_log_drops_counts_and_reports() {
    let config = VirtualBoardConfig {
        log_bytes: 8 << 10,
        ..config()
    };
    let (mut board, mut server, mut now) = met(config, policy(1000, 4, Selection::Random));
    let mut produced = 0;
    for round in 0..10 {
        produced += run(&mut board, &windows(round, 40)).len();
        board.end_round();
    }
    let dropped = board.with(|app| app.counters().dropped).unwrap();
    assert!(dropped > 100, "{dropped}");
    sync(&mut board, &mut server, &mut now);
    // With room again, the gap is reported in front of the next record.
    produced += run(&mut board, &windows(99, 40)).len();
    board.end_round();
    sync(&mut board, &mut server, &mut now);
    let (mut inferences, mut samples, mut reported) = (0, 0, 0);
    for record in server.decoded() {
        match record {
            Record::Inference { .. } => inferences += 1,
            Record::Sample { .. } => samples += 1,
            Record::Event(Event::Dropped { records }) => reported += records,
            _ => {}
        }
    }
    assert_eq!(reported, dropped);
    // Four samples a round; the statistics were never dropped.
    assert_eq!(inferences + samples + dropped as usize, produced + 11 * 4);
    let windows: u32 = statistics(&server).iter().map(|(windows, _)| windows).sum();
    assert_eq!(windows as usize, produced);
}

#[test]
fn noise_on_the_link_changes_nothing() {
    let (mut board, mut server, mut now) = met(config(), Policy::default());
    let mut state = 77_u32;
    for _ in 0..300 {
        let noise: Vec<u8> = (0..200)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                // Plenty of delimiters, so that frames end.
                if state.is_multiple_of(23) {
                    0
                } else {
                    state as u8
                }
            })
            .collect();
        board.on_link(now, &noise);
    }
    run(&mut board, &windows(5, 10));
    sync(&mut board, &mut server, &mut now);
    assert_eq!(board.with(|app| app.pending_records()), Some(0));
    assert_eq!(board.model_version(), Some(1));
}

#[test]
fn a_kill_loses_nothing_that_was_logged() {
    let (mut board, mut server, mut now) = met(config(), Policy::default());
    let reports = run(&mut board, &windows(6, 30));
    board.push_window(&[0.0; WINDOW]);
    board.kill();
    assert!(!board.is_running());
    assert_eq!(
        (board.step(0), board.poll_link(0), board.queued()),
        (None, None, 0)
    );
    board.push_window(&[0.0; WINDOW]);
    board.reboot().unwrap();
    assert_eq!(board.queued(), 0);
    sync(&mut board, &mut server, &mut now);
    let home = server
        .decoded()
        .filter(|r| matches!(r, Record::Inference { .. }))
        .count();
    assert_eq!(home, reports.len());
}

#[test]
fn a_thousand_boards_fit_into_one_process() {
    let image = image(0, 0);
    let mut boards: Vec<VirtualBoard> = (0..1000)
        .map(|device_id| {
            let mut config = VirtualBoardConfig {
                slot_bytes: 8 << 10,
                log_bytes: 8 << 10,
                ..config()
            };
            config.device.device_id = device_id;
            VirtualBoard::new(config, Some((&image, 1))).unwrap()
        })
        .collect();
    for (number, board) in boards.iter_mut().enumerate() {
        board.push_window(&window(number % CLASSES, 1.0));
        assert_eq!(usize::from(board.step(0).unwrap().class), number % CLASSES);
    }
    // A board may move to another thread.
    let mut board = boards.pop().unwrap();
    let version = std::thread::spawn(move || board.model_version())
        .join()
        .unwrap();
    assert_eq!(version, Some(1));
}
