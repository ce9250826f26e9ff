//! Updates of a virtual board: whatever happens, the old or the new model runs, whole.

mod common;

use common::{
    Server, config, device, image, is_confirmed, live, manifest, signing_key, sync, window,
};
use edge_runtime::{Model, image_hash as header_hash};
use edge_sync::manifest::{SignedManifest, image_hash, sign};
use edge_sync::message::{Policy, Reason, UpdateState};
use edge_sync::record::Event;
use edge_sync::{Partitions, Record};
use firmware::virtual_board::flash::{ERASE_TRAFFIC, Power, SimFlash};
use firmware::virtual_board::{VirtualBoard, VirtualBoardConfig};
use firmware::{App, FRAME_LEN, Memory, Sensor, counts_len, provision};

/// Enough turns for any update with a few cuts.
const TURNS: usize = 60;

struct Bench {
    board: VirtualBoard,
    server: Server,
    now: u64,
    old: [u8; 32],
    new: [u8; 32],
}

impl Bench {
    /// A board on version 1 and a server that offers version 2.
    fn new() -> Self {
        Self::with_seed(0)
    }

    /// `seed` decides how flash tears.
    fn with_seed(seed: u64) -> Self {
        let (old, new) = (image(0, 3000), image(1, 3500));
        let config = VirtualBoardConfig { seed, ..config() };
        let mut bench = Self {
            board: VirtualBoard::new(config, Some((&old, 1))).expect("the board boots"),
            server: Server::new(Policy::default()),
            now: 0,
            old: image_hash(&old),
            new: image_hash(&new),
        };
        sync(&mut bench.board, &mut bench.server, &mut bench.now);
        bench.server.offer(2, &new);
        bench
    }

    fn live(&mut self) {
        let whole = [self.old, self.new];
        live(&mut self.board, &mut self.server, &mut self.now, &whole);
    }

    fn finish(&mut self, what: &str) {
        for _ in 0..TURNS {
            if is_confirmed(&mut self.board, self.new) {
                return;
            }
            self.live();
        }
        panic!("{what}: the update did not finish");
    }
}

#[test]
fn an_update_is_fetched_tried_and_confirmed() {
    let mut bench = Bench::new();
    bench.finish("undisturbed");
    assert_eq!(bench.board.model_version(), Some(2));
    sync(&mut bench.board, &mut bench.server, &mut bench.now);
    let states: Vec<UpdateState> = bench
        .server
        .decoded()
        .filter_map(|record| match record {
            Record::Event(Event::Update {
                state, version: 2, ..
            }) => Some(state),
            _ => None,
        })
        .collect();
    use UpdateState::{Confirmed, Receiving, Verified};
    assert_eq!(states, [Receiving, Verified, Confirmed]);
    let models: Vec<(u32, bool)> = bench
        .server
        .decoded()
        .filter_map(|record| match record {
            Record::Event(Event::Booted { model, trial, .. }) => Some((model, trial)),
            _ => None,
        })
        .collect();
    assert_eq!(models, [(1, false), (2, true)]);
    // And it stays.
    bench.board.reboot().unwrap();
    assert!(is_confirmed(&mut bench.board, bench.new));
}

#[test]
fn a_kill_after_every_block_costs_nothing() {
    let blocks = image(1, 3500).len().div_ceil(1024) as u32;
    assert!(blocks >= 4);
    let mut bench = Bench::new();
    let mut kills = 0;
    // The link is carried frame by frame, so that the board dies right after each stored block.
    while !bench.board.wants_reboot() {
        bench.now += 100;
        assert!(bench.now < 1_000_000, "the update got stuck");
        if !bench.board.is_running() {
            bench.board.reboot().unwrap();
            assert_eq!(bench.board.model_hash(), Some(bench.old));
            let stored = bench
                .board
                .with(|app| app.session().slots().candidate().map(|c| c.stored));
            assert_eq!(stored, Some(Some(kills)), "a stored block was lost");
        }
        common::exchange_one(&mut bench.board, &mut bench.server, bench.now);
        let stored = bench
            .board
            .with(|app| app.session().counters().blocks_stored);
        if stored == Some(1) && kills + 1 < blocks {
            bench.board.kill();
            kills += 1;
        }
    }
    assert_eq!(kills, blocks - 1);
    bench.finish("killed after every block");
}

#[test]
fn a_power_cut_anywhere_in_the_flash_traffic_leaves_the_old_or_the_new_model() {
    let mut bench = Bench::new();
    let before = bench.board.power().traffic();
    bench.finish("undisturbed");
    let traffic = bench.board.power().traffic() - before;
    assert!(traffic > 5000);
    // Every word of it, and erasures at 64 points each: blocks, journal entries, records, the trial
    // boot and its new log segment. The seed makes each tear differently.
    for cut in (0..traffic).step_by(4) {
        let mut bench = Bench::with_seed(cut);
        bench.board.power().cut_after(cut);
        bench.finish(&format!("cut at {cut}"));
    }
}

#[test]
fn several_cuts_in_a_row_and_cuts_while_booting_do_no_harm() {
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut below = |end: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % end
    };
    for run in 0..60 {
        let mut bench = Bench::with_seed(run);
        bench.board.power().cut_after(below(9000));
        let mut cuts = 1;
        for _ in 0..TURNS {
            if !bench.board.is_running() && cuts < 6 {
                cuts += 1;
                // Some fall into the boot, some after it.
                let _ = bench.board.reboot_with_cut(below(2500));
                if bench.board.is_running() {
                    let hash = bench.board.model_hash();
                    assert!(hash == Some(bench.old) || hash == Some(bench.new));
                }
                continue;
            }
            bench.live();
        }
        bench.finish(&format!("run {run}"));
    }
}

#[test]
fn a_forged_manifest_is_refused_before_anything_is_erased() {
    let new = image(1, 3500);
    let good = manifest(2, &new);
    let signed = sign(&signing_key(1), &good);
    let mut flipped = signed.bytes().to_vec();
    flipped[0] ^= 4; // another version, under the old signature
    let mut signature = *signed.signature();
    signature[20] ^= 1;
    let forged = [
        sign(&signing_key(2), &good),
        SignedManifest::from_parts(&flipped, *signed.signature()).unwrap(),
        SignedManifest::from_parts(signed.bytes(), signature).unwrap(),
    ];
    for forged in forged {
        let mut bench = Bench::new();
        let before = bench.board.power().traffic();
        bench.server.offer_forged(&forged, &good, &new);
        sync(&mut bench.board, &mut bench.server, &mut bench.now);
        let refused = Some((UpdateState::Refused, Reason::Signature));
        assert_eq!(bench.server.last_status(), refused);
        assert!(
            bench.board.power().traffic() - before < ERASE_TRAFFIC,
            "something was erased"
        );
        assert!(is_confirmed(&mut bench.board, bench.old));
        bench.live();
    }
}

#[test]
fn what_does_not_suit_the_device_is_refused() {
    let new = image(1, 3500);
    let good = manifest(2, &new);
    let cases = [
        (
            edge_sync::manifest::Manifest { version: 1, ..good },
            Reason::Version,
        ),
        (
            edge_sync::manifest::Manifest {
                hardware_id: 2,
                ..good
            },
            Reason::Hardware,
        ),
        (
            edge_sync::manifest::Manifest {
                arena_bytes: 8192,
                ..good
            },
            Reason::ArenaTooLarge,
        ),
        (
            edge_sync::manifest::Manifest {
                kernel_set: 1 << 31,
                ..good
            },
            Reason::Kernels,
        ),
        (
            edge_sync::manifest::Manifest {
                firmware_min: 4,
                ..good
            },
            Reason::Firmware,
        ),
        (
            edge_sync::manifest::Manifest {
                image_len: 50_000,
                ..good
            },
            Reason::ImageTooLarge,
        ),
    ];
    for (manifest, reason) in cases {
        let mut bench = Bench::new();
        bench.server.offer_signed(&signing_key(1), &manifest, &new);
        sync(&mut bench.board, &mut bench.server, &mut bench.now);
        assert_eq!(
            bench.server.last_status(),
            Some((UpdateState::Refused, reason))
        );
        assert!(is_confirmed(&mut bench.board, bench.old));
    }
}

/// The image with its self-test expecting something else, sealed again.
fn with_wrong_self_test(mut image: edge_compiler::AlignedBytes) -> edge_compiler::AlignedBytes {
    let section = Model::load(&image).unwrap().header().self_test;
    image[section.offset as usize + 16] ^= 1;
    let hash = header_hash(&image).unwrap();
    image[16..48].copy_from_slice(&hash);
    assert!(Model::load(&image).is_ok());
    image
}

#[test]
fn a_signed_image_that_cannot_run_is_given_up_and_never_fetched_again() {
    let noise: Vec<u8> = (0..3000_u32).map(|i| (i * i) as u8).collect();
    let cases = [
        (edge_compiler::AlignedBytes::from(&noise[..]), Reason::Load),
        (with_wrong_self_test(image(1, 3500)), Reason::SelfTest),
        // A longer window than the board has memory for.
        (common::image_of(1, 0, 300), Reason::Load),
    ];
    for (bad, reason) in cases {
        let mut bench = Bench::new();
        bench.server.offer(2, &bad);
        for _ in 0..5 {
            bench.live();
        }
        assert_eq!(
            bench.server.last_status(),
            Some((UpdateState::Failed, reason))
        );
        assert!(is_confirmed(&mut bench.board, bench.old));
        // Found out in the spare slot, beside the running model: nothing was tried.
        assert_eq!(bench.board.with(|app| app.epoch()), Some(1));
        let sent = bench.server.session.counters().blocks_sent;
        // A server that forgot offers it again.
        bench.server.session = edge_sync::ServerSession::default();
        bench.server.offer(2, &bad);
        bench.board.reboot().unwrap();
        sync(&mut bench.board, &mut bench.server, &mut bench.now);
        assert_eq!(
            bench.server.session.counters().blocks_sent,
            0,
            "after {sent} before"
        );
        // The next version is welcome.
        let next = image(2, 100);
        bench.new = image_hash(&next);
        bench.server.offer(3, &next);
        bench.finish("the version after a failed one");
    }
}

#[test]
fn a_trial_that_never_reaches_the_server_ends_with_the_old_model() {
    let mut bench = Bench::new();
    while !bench.board.wants_reboot() {
        common::exchange_one(&mut bench.board, &mut bench.server, bench.now);
        bench.now += 100;
    }
    for _ in 0..edge_sync::slots::TRIAL_BOOTS {
        bench.board.reboot().unwrap();
        assert_eq!(bench.board.model_hash(), Some(bench.new));
        for _ in 0..40 {
            bench.board.push_window(&window(1, 1.0));
            assert!(bench.board.step(bench.now).is_some());
        }
        assert_eq!(bench.board.with(|app| app.is_on_trial()), Some(true));
    }
    bench.board.reboot().unwrap();
    assert!(is_confirmed(&mut bench.board, bench.old));
    sync(&mut bench.board, &mut bench.server, &mut bench.now);
    let failed = Some((UpdateState::Failed, Reason::TrialBoots));
    assert_eq!(bench.server.last_status(), failed);
    assert!(is_confirmed(&mut bench.board, bench.old));
}

#[test]
fn a_device_without_a_model_is_given_its_first() {
    let new = image(1, 0);
    let mut board = VirtualBoard::new(config(), None).unwrap();
    let mut server = Server::new(Policy::default());
    let mut now = 0;
    assert_eq!(board.model_version(), None);
    board.push_window(&window(0, 1.0));
    assert!(board.step(0).is_none());
    assert_eq!(board.queued(), 1, "nothing is sensed without a model");
    board.end_round();
    server.offer(1, &new);
    sync(&mut board, &mut server, &mut now);
    assert!(board.wants_reboot());
    board.reboot().unwrap();
    // What waited for a model is answered now.
    assert_eq!(board.step(0).map(|step| step.class), Some(0));
    let hash = image_hash(&new);
    for _ in 0..10 {
        live(&mut board, &mut server, &mut now, &[hash]);
    }
    assert!(is_confirmed(&mut board, hash));
}

#[test]
fn a_factory_image_that_cannot_run_leaves_a_device_that_syncs() {
    let mut board = VirtualBoard::new(config(), Some((&[0x5A; 100], 1))).unwrap();
    let mut server = Server::new(Policy::default());
    let mut now = 0;
    assert_eq!(board.model_hash(), None);
    let new = image(1, 0);
    server.offer(2, &new);
    sync(&mut board, &mut server, &mut now);
    board.reboot().unwrap();
    assert_eq!(board.model_hash(), Some(image_hash(&new)));
}

/// No window, ever.
struct Silent;

impl Sensor for Silent {
    type Error = core::convert::Infallible;

    fn read(&mut self, _: &mut [f32]) -> Result<bool, Self::Error> {
        Ok(false)
    }
}

#[test]
fn a_trial_model_that_cannot_run_after_the_reboot_gives_way_in_the_same_boot() {
    const COUNTS: usize = counts_len(32, 4);
    let (old, new) = (image(0, 0), common::image_of(1, 0, 32));
    let power = Power::new(1);
    let flash = |len| SimFlash::new(len, &power);
    let mut partitions = Partitions {
        slots: [flash(16 << 10), flash(16 << 10)],
        journal: flash(8 << 10),
        log: flash(32 << 10),
    };
    provision(&mut partitions, &old, 1).unwrap();
    let mut server = Server::new(Policy::default());
    server.offer(2, &new);
    let mut roomy = Box::new(Memory::<32, 32, COUNTS, 1024, 3>::new());
    let mut app = App::boot(&mut partitions, roomy.buffers(), &device(), Silent).unwrap();
    let mut frame = [0; FRAME_LEN];
    for now in 0..20 {
        loop {
            let len = app.poll_link(now * 1000, &mut frame);
            if len == 0 {
                break;
            }
            server.receive(now * 1000, &frame[..len]);
        }
        while let Some(frame) = server.send(now * 1000) {
            app.on_link(now * 1000, &frame);
        }
    }
    assert!(app.wants_reboot());
    drop(app);
    // The same flash under a board with less memory, as after a firmware that needs more of it.
    let mut tight = Box::new(Memory::<16, 16, COUNTS, 1024, 3>::new());
    let app = App::boot(&mut partitions, tight.buffers(), &device(), Silent).unwrap();
    assert_eq!(app.model_hash(), Some(image_hash(&old)));
    assert!(!app.is_on_trial());
    drop(app);
    // It was given up for good.
    let app = App::boot(&mut partitions, roomy.buffers(), &device(), Silent).unwrap();
    assert_eq!(app.model_hash(), Some(image_hash(&old)));
    let failure = app.session().slots().last_failure();
    assert_eq!(failure, Some((2, Reason::Load)));
}
