//! Paths in every spelling: links, names that tables escape, what is away, what leads nowhere.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use hawser_testkit::peers::wait_until;
use iscsidsc::api::{Library, SessionId, Status};

use super::{Mounted, persistent_device, run};
use crate::support::{
    Daemon, LIMIT, TARGET, Target, config, discover, log_in, ready_device, store,
};

/// Every byte that `/proc/self/mountinfo` escapes, what looks like an escape, what shells and units would take for
/// something else, and so much beyond ASCII that a mount unit cannot be called so.
const HARD_NAME: &str =
    " \ttab\nline\\back\\040slash #$'\"%☂éééééééééééééééééééééééééééééééééééééééé ";
/// Longest name of a file, and more.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;

fn text(path: &Path) -> String {
    path.to_str().expect("is text").to_owned()
}

/// A daemon, a target and a mounted filesystem of it; they go in this order.
struct Volume {
    mounted: Mounted,
    daemon: Daemon,
    target: Target,
    library: Library,
    place: PathBuf,
}

impl Volume {
    /// Mounted on a directory of this name.
    fn at(name: &OsStr) -> Self {
        let target = Target::start();
        let daemon = Daemon::start("loop");
        let library = daemon.library();
        let device = persistent_device(&library, &target.portal());
        run("mkfs.ext4", &["-q", "-F", &device.legacy_name]);
        let root = daemon.path("").canonicalize().expect("is there");
        let place = root.join(name);
        std::fs::create_dir(&place).expect("made");
        run("mount", &[OsStr::new(&device.legacy_name), place.as_ref()]);
        Self {
            daemon,
            target,
            library,
            mounted: Mounted(place.clone()),
            place,
        }
    }
}

#[test]
fn a_mount_point_whose_name_is_escaped_in_tables_is_bound_and_comes_back() {
    let mut volume = Volume::at(HARD_NAME.as_ref());
    let path = text(&volume.place);
    let marker = volume.place.join("marker");
    std::fs::write(&marker, "here").expect("written");
    let library = &volume.library;
    assert_eq!(library.add_persistent_device(&path), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(vec![path.clone()]));
    assert_eq!(library.setup_persistent_devices(), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(vec![path.clone()]));
    // Found by itself, too, when nothing is bound before.
    assert_eq!(library.clear_persistent_devices(), Ok(()));
    assert_eq!(library.setup_persistent_devices(), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(vec![path.clone()]));
    volume.daemon.stop();
    assert!(!marker.exists(), "the daemon unmounts it at its end");
    volume.daemon.start_again();
    let back = || std::fs::read_to_string(&marker).map_err(|error| error.to_string());
    let said = wait_until("the volume", LIMIT, back).expect("it comes back");
    assert_eq!(said, "here");
    assert_eq!(library.persistent_devices(), Ok(vec![path.clone()]));
    assert_eq!(library.remove_persistent_device(&path), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(Vec::new()));
}

#[test]
fn a_path_is_reported_as_typed_whatever_it_leads_to() {
    let volume = Volume::at("volume".as_ref());
    let (library, path) = (&volume.library, text(&volume.place));
    let link = volume.daemon.path("link");
    symlink(&volume.place, &link).expect("made");
    let typed = text(&link);
    assert_eq!(library.add_persistent_device(&typed), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(vec![typed.clone()]));
    let real = library.add_persistent_device(&path);
    assert_eq!(real, Err(Status::VOLUME_ALREADY_PERSISTENTLY_BOUND));
    assert_eq!(library.setup_persistent_devices(), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(vec![typed.clone()]));
    // The text counts, also when nothing is there any more.
    std::fs::remove_file(&link).expect("removed");
    assert_eq!(library.persistent_devices(), Ok(vec![typed.clone()]));
    assert_eq!(library.remove_persistent_device(&typed), Ok(()));
    // What was bound by a link is also found by where it led, and when the link leads elsewhere now.
    symlink(&volume.place, &link).expect("made");
    assert_eq!(library.add_persistent_device(&typed), Ok(()));
    std::fs::remove_file(&link).expect("removed");
    symlink("/proc", &link).expect("made");
    assert_eq!(library.remove_persistent_device(&path), Ok(()));
    let gone = library.remove_persistent_device(&typed);
    assert_eq!(gone, Err(Status::DEVICE_NOT_FOUND));
}

#[test]
fn one_place_has_many_spellings() {
    let volume = Volume::at("volume".as_ref());
    let (library, path) = (&volume.library, text(&volume.place));
    let here = std::env::current_dir().expect("there is one");
    let up = "../".repeat(here.components().count() - 1);
    for typed in [
        format!("{path}/"),
        format!("{path}//"),
        path.replacen('/', "//", 2),
        path.replace("/volume", "/./volume/."),
        format!("{up}{}", path.trim_start_matches('/')),
    ] {
        assert_eq!(library.add_persistent_device(&typed), Ok(()), "{typed}");
        let again = library.add_persistent_device(&path);
        assert_eq!(again, Err(Status::VOLUME_ALREADY_PERSISTENTLY_BOUND));
        assert_eq!(library.remove_persistent_device(&typed), Ok(()), "{typed}");
        assert_eq!(library.persistent_devices(), Ok(Vec::new()), "{typed}");
    }
    // The slash at the end is no part of the name.
    assert_eq!(library.add_persistent_device(&format!("{path}/")), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(vec![path]));
    // What is inside a volume is none.
    let inside = volume.place.join("inside");
    std::fs::create_dir(&inside).expect("made");
    let refused = library.add_persistent_device(&text(&inside));
    assert_eq!(refused, Err(Status::DEVICE_NOT_ISCSI_OR_PERSISTENT));
}

#[test]
fn what_is_away_stays_on_the_list_and_is_removed_by_its_text() {
    let Volume {
        mut daemon,
        mut target,
        library,
        place,
        mounted,
    } = Volume::at("volume".as_ref());
    let path = text(&place);
    let session = library.sessions().expect("listed").remove(0).id;
    let device = ready_device(&library, session).interface_name;
    assert_eq!(library.add_persistent_device(&device), Ok(()));
    assert_eq!(library.add_persistent_device(&path), Ok(()));
    daemon.stop();
    drop(mounted);
    target.kill();
    daemon.start_again();
    assert!(!Path::new(&device).exists(), "{device} is away");
    let all = vec![device.clone(), path.clone()];
    assert_eq!(library.persistent_devices(), Ok(all));
    // It is bound, there or not: nobody has to wait to learn it.
    for bound in [&device, &path] {
        let again = library.add_persistent_device(bound);
        let already = Err(Status::VOLUME_ALREADY_PERSISTENTLY_BOUND);
        assert_eq!(again, already, "{bound}");
    }
    let spelt = device.replacen("/run/", "/./run//", 1);
    assert_eq!(library.remove_persistent_device(&spelt), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(vec![path.clone()]));
    assert_eq!(library.remove_persistent_device(&path), Ok(()));
    for gone in [&device, &path] {
        let again = library.remove_persistent_device(gone);
        assert_eq!(again, Err(Status::DEVICE_NOT_FOUND), "{gone}");
    }
}

#[test]
fn what_leads_nowhere_is_not_found() {
    let daemon = Daemon::start("none");
    let library = daemon.library();
    let (round, dangling) = (daemon.path("round"), daemon.path("dangling"));
    symlink(&round, &round).expect("made");
    symlink(daemon.path("nothing"), &dangling).expect("made");
    let name = "x".repeat(NAME_MAX);
    // As many names as fit, each of a length that is allowed.
    let longest = format!("/{name}").repeat(PATH_MAX / (NAME_MAX + 1) - 1);
    for nowhere in [
        text(&round),
        text(&dangling),
        text(&daemon.path("hawser.toml").join("below a file")),
        format!("/{name}x"),
        longest.clone(),
        format!("{longest}/{}", "y".repeat(NAME_MAX)),
        format!("{longest}/{name}/{name}"),
        " ".to_owned(),
        "\n".to_owned(),
        "~".to_owned(),
        r"E:\".to_owned(),
        r"\\.\PhysicalDrive1".to_owned(),
        "/No such file or directory".to_owned(),
    ] {
        let refused = library.add_persistent_device(&nowhere);
        assert_eq!(refused, Err(Status::DEVICE_NOT_FOUND), "add {nowhere:?}");
        let refused = library.remove_persistent_device(&nowhere);
        assert_eq!(refused, Err(Status::DEVICE_NOT_FOUND), "remove {nowhere:?}");
    }
    for spoilt in ["", "/a\0b"] {
        let refused = library.add_persistent_device(spoilt);
        assert_eq!(refused, Err(Status::ERROR_INVALID_PARAMETER), "{spoilt:?}");
        let refused = library.remove_persistent_device(spoilt);
        assert_eq!(refused, Err(Status::ERROR_INVALID_PARAMETER), "{spoilt:?}");
    }
    assert_eq!(library.persistent_devices(), Ok(Vec::new()));
}

#[test]
fn a_mount_point_that_is_no_text_is_refused_and_its_device_is_bound() {
    let volume = Volume::at(OsStr::from_bytes(b"not \xff text"));
    let library = &volume.library;
    let link = volume.daemon.path("link");
    symlink(&volume.place, &link).expect("made");
    let refused = library.add_persistent_device(&text(&link));
    assert_eq!(refused, Err(Status::ERROR_INVALID_PARAMETER));
    let session = library.sessions().expect("listed").remove(0).id;
    let device = ready_device(library, session).interface_name;
    assert_eq!(library.setup_persistent_devices(), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(vec![device.clone()]));
    assert_eq!(library.remove_persistent_device(&device), Ok(()));
    assert!(volume.mounted.is_mounted(), "binding took nothing down");
}

/// The session with a target, once it is there.
fn session_of(library: &Library, target: &str) -> SessionId {
    let session = || {
        let sessions = library.sessions().map_err(|status| status.to_string())?;
        let found = sessions.iter().find(|one| one.target_name == target);
        found.map(|one| one.id).ok_or(format!("{sessions:?}"))
    };
    wait_until("the session", LIMIT, session).expect("it comes")
}

#[test]
fn setting_up_leaves_out_what_would_not_come_back_and_keeps_the_order() {
    const OTHER: &str = "iqn.2026-11.test.iscsidsc:other";
    let (target, other) = (Target::start(), Target::start_with(config(OTHER)));
    let mut daemon = Daemon::start("fuse");
    let library = daemon.library();
    let first = persistent_device(&library, &target.portal()).interface_name;
    discover(&library, &other.portal());
    let session = log_in(&library, OTHER);
    let second = ready_device(&library, session).interface_name;
    assert_eq!(library.setup_persistent_devices(), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(vec![first.clone()]));
    store(&library, OTHER);
    assert_eq!(library.clear_persistent_devices(), Ok(()));
    for device in [&second, &first] {
        assert_eq!(library.add_persistent_device(device), Ok(()), "{device}");
    }
    let in_their_order = Ok(vec![second.clone(), first.clone()]);
    assert_eq!(library.persistent_devices(), in_their_order);
    assert_eq!(library.setup_persistent_devices(), Ok(()));
    assert_eq!(library.persistent_devices(), in_their_order);
    daemon.stop();
    daemon.start_again();
    assert_eq!(library.persistent_devices(), in_their_order);
    // A session that ended takes its device off the list when it is made anew, not before.
    ready_device(&library, session_of(&library, TARGET));
    let session = session_of(&library, OTHER);
    ready_device(&library, session);
    library.logout(session).expect("logged out");
    assert_eq!(library.persistent_devices(), in_their_order);
    assert_eq!(library.setup_persistent_devices(), Ok(()));
    assert_eq!(library.persistent_devices(), Ok(vec![first]));
}
