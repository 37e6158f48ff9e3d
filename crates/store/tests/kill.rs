//! What was acknowledged survives SIGKILL at any moment.
mod fixtures;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use fixtures::*;
use hawser_store::*;

/// Names the state directory to the child process that is killed.
const CHILD_VARIABLE: &str = "HAWSER_STORE_KILL_TEST_DIR";

/// Number of changes after which the child ends by itself, in case nobody kills it.
const MOST_CHANGES: u32 = 20_000;

/// Stores volume after volume, removing every third again, and says each on stdout when it is stored.
fn write_and_tell(store: &Store, most: u32, mut out: impl Write) {
    for number in 0..most {
        let path = format!("/srv/{number}");
        store.put(&volume(&path)).expect("put");
        writeln!(out, "put {number}").expect("tell");
        if number % 3 == 0 {
            store.remove::<BoundVolume>(&path).expect("remove");
            writeln!(out, "removed {number}").expect("tell");
        }
        out.flush().expect("tell");
    }
}

/// The writer by itself; run by the other test as a child process, with a directory and until it is killed.
#[test]
fn writer_tells_what_it_stored() {
    if let Some(dir) = std::env::var_os(CHILD_VARIABLE) {
        let store = open(dir.as_ref()).expect("open");
        write_and_tell(&store, MOST_CHANGES, std::io::stdout());
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let store = open(dir.path()).expect("open");
    let mut told = Vec::new();
    write_and_tell(&store, 4, &mut told);
    assert_eq!(told, b"put 0\nremoved 0\nput 1\nput 2\nput 3\nremoved 3\n");
    assert_eq!(
        store.load::<BoundVolume>().0,
        [volume("/srv/1"), volume("/srv/2")]
    );
}

/// Runs the writer on `dir`, kills it after `acknowledged` lines, and gives all that it said.
fn run_and_kill(dir: &std::path::Path, acknowledged: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "writer_tells_what_it_stored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD_VARIABLE, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("spawn");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut told = Vec::new();
    let is_ours = |line: &String| line.contains("put ") || line.contains("removed ");
    while told.iter().filter(|line| is_ours(line)).count() < acknowledged {
        told.push(lines.next().expect("the child is running").expect("text"));
    }
    child.kill().expect("kill");
    told.extend(lines.map_while(Result::ok));
    let status = child.wait().expect("wait");
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(9), "it was killed in the middle: {status:?}");
    told
}

#[test]
fn everything_acknowledged_is_there_after_sigkill() {
    for acknowledged in [1, 2, 7, 20, 51, 90] {
        let dir = tempfile::tempdir().expect("directory");
        let told = run_and_kill(dir.path(), acknowledged);
        // Of the last line only a part may have come; then it was not acknowledged.
        let number = |line: &String, verb: &str| -> Option<u32> {
            line.split(verb).nth(1)?.trim().parse().ok()
        };
        let put: Vec<u32> = told
            .iter()
            .filter_map(|line| number(line, "put "))
            .collect();
        let removed: Vec<u32> = told
            .iter()
            .filter_map(|line| number(line, "removed "))
            .collect();
        assert!(put.len() + removed.len() >= acknowledged);

        let store = open(dir.path()).expect("opens after the kill");
        assert_eq!(store.damages(), []);
        let (volumes, damages) = store.load::<BoundVolume>();
        assert_eq!(damages, []);
        let last = put.last().copied().expect("at least one");
        for number in put.iter().filter(|number| *number % 3 != 0) {
            assert!(
                volumes.contains(&volume(&format!("/srv/{number}"))),
                "{number} is lost"
            );
        }
        for number in &removed {
            assert!(
                !volumes.contains(&volume(&format!("/srv/{number}"))),
                "{number} is back"
            );
        }
        // Beyond what was acknowledged there is at most the change that was under way.
        let highest = volumes
            .iter()
            .filter_map(|volume| volume.path.strip_prefix("/srv/"));
        let highest = highest
            .filter_map(|number| number.parse::<u32>().ok())
            .max();
        assert!(
            highest.is_none_or(|highest| highest <= last + 1),
            "{highest:?} after {last}"
        );
        store
            .put(&volume("/srv/after"))
            .expect("it can be written to");
    }
}
