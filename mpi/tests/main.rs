//! The executor over processes, as they are started by mpirun: more of them than there are processors.
//!
//! Each test starts this program again, as `child`, in several processes, with a scene to play; what they have found they leave
//! in a folder.

mod scenes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use contrastive_dynamics::parallel::Serial;

/// Longer than any scene takes: what lasts longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder of its own, emptied.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Plays a scene in so many processes.
fn play(scene: &str, processes: usize, folder: &Path) -> Output {
    let mut command = Command::new("mpirun");
    command.args(["--allow-run-as-root", "--oversubscribe", "-n", &processes.to_string()]);
    command.arg(std::env::current_exe().unwrap()).args(["child", "--exact", "--ignored", "--nocapture"]);
    command.env("SCENE", scene).env("FOLDER", folder).env("RUST_BACKTRACE", "0").env("RAYON_NUM_THREADS", "2");
    let (out, err) = (folder.join("out"), folder.join("err"));
    command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
    let mut child = command.spawn().expect("mpirun is needed: install openmpi-bin");
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{scene} hangs in {processes} processes: {}", fs::read_to_string(err).unwrap());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    Output { status, stdout: fs::read(out).unwrap(), stderr: fs::read(err).unwrap() }
}

/// Plays a scene that goes well.
fn play_well(scene: &str, processes: usize, folder: &Path) {
    let output = play(scene, processes, folder);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{scene} in {processes}: {error}{}", String::from_utf8_lossy(&output.stdout));
}

/// Plays a scene that does not; what was said.
fn play_badly(scene: &str, processes: usize, folder: &Path) -> String {
    let output = play(scene, processes, folder);
    assert!(!output.status.success(), "{scene} in {processes} ends well");
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// What each process has left.
fn left(folder: &Path, processes: usize) -> Vec<Vec<u8>> {
    (0..processes).map(|rank| fs::read(folder.join(format!("rank{rank}"))).unwrap()).collect()
}

#[test]
#[ignore = "started by the others"]
fn child() {
    scenes::play(&std::env::var("SCENE").unwrap(), Path::new(&std::env::var("FOLDER").unwrap()));
}

/// Ensembles one by one and in lock-step, maps over replicates, phase diagrams, attraction maps, their borders, selection
/// probabilities in the limit and at finite N, in every process.
#[test]
fn any_number_of_processes_gives_the_bits_of_one_thread() {
    let expected = scenes::everything(&Serial);
    for processes in [1, 2, 3, 7] {
        let folder = folder(&format!("bits{processes}"));
        play_well("everything", processes, &folder);
        for (rank, bits) in left(&folder, processes).into_iter().enumerate() {
            assert!(bits == expected, "rank {rank} of {processes}");
        }
    }
}

#[test]
fn a_panic_in_any_process_is_that_of_the_root() {
    for (scene, who) in [("panic of another", "rank 2"), ("panic of the root", "rank 0")] {
        let said = play_badly(scene, 3, &folder(scene));
        assert!(said.contains(&format!("{who}: work panicked: piece ")), "{said}");
        // Whoever computed panics, then the root; the others end in silence.
        assert_eq!(said.matches("thread 'child'").count(), 1, "{said}");
    }
    let said = play_badly("panic of the observer", 3, &folder("panic of the observer"));
    assert!(said.contains("the observer has had enough"), "{said}");
    assert_eq!(said.matches("panicked at").count(), 1, "{said}");
}

#[test]
fn processes_that_do_not_do_the_same_are_ended() {
    for (scene, what) in [
        ("one returns", "rank 1 has returned before the others"),
        ("one panics outside", "rank 2 has panicked before the others"),
        ("one returns before short work", "rank 1 has returned before the others"),
        ("one calls other things", "must call the same"),
        ("one waits where others compare", "must call the same"),
        ("one works where others have returned", ""),
        ("one compares where others wait", "must call the same"),
        ("a long panic among long results", "so so so"),
        ("on another thread", "on the thread that made it"),
        ("the root returns", ""),
    ] {
        let said = play_badly(scene, 3, &folder(scene));
        assert!(said.contains(what), "{scene}: {said}");
    }
}

#[test]
fn other_versions_and_other_models_are_refused_in_all_processes() {
    for scene in ["versions", "work", "models", "regions", "diagrams"] {
        play_well(scene, 3, &folder(scene));
    }
}

#[test]
fn a_cancelled_ensemble_is_that_in_all_processes() {
    for scene in ["cancelled by the root", "cancelled by another"] {
        let folder = folder(scene);
        play_well(scene, 3, &folder);
        let left = left(&folder, 3);
        assert!(left[0] == left[1] && left[0] == left[2]);
    }
}

/// A piece that takes long keeps others waiting, and then nothing new begins.
#[test]
fn results_that_wait_for_their_turn_are_bounded() {
    play_well("memory", 3, &folder("memory"));
}

#[test]
fn work_within_work_stays_where_it_is() {
    play_well("nested", 3, &folder("nested"));
}

/// The first failure ends all; what was combined is saved, and goes on to the same bits once nothing fails.
#[test]
fn an_error_ends_all_and_what_was_done_is_saved() {
    let folder = folder("failure");
    play_well("failing", 3, &folder);
    for bits in left(&folder, 3) {
        assert_eq!(String::from_utf8(bits).unwrap(), "replicate 700 failed: it was to fail");
    }
    assert!(folder.join("saved").exists());
    play_well("resumed", 2, &folder);
    let expected = scenes::uninterrupted();
    assert!(left(&folder, 2).iter().all(|bits| *bits == expected));
}

/// SIGKILL of one process: MPI ends the others, and what the root has saved goes on in another number of processes.
#[test]
fn a_killed_process_leaves_what_goes_on_to_the_same_bits() {
    let expected = scenes::uninterrupted();
    for (killed, resumed) in [(3, 2), (2, 5), (3, 1)] {
        let folder = folder(&format!("killed{killed}{resumed}"));
        let said = play_badly("killed", killed, &folder);
        assert!(said.contains("signal 9"), "{said}");
        let begun = scenes::saved(&folder);
        assert!((64..900).contains(&begun), "{begun} replicates are saved");
        play_well("resumed", resumed, &folder);
        for bits in left(&folder, resumed) {
            assert!(bits == expected, "killed in {killed}, resumed in {resumed}");
        }
    }
}
