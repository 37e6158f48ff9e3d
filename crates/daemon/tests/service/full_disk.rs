//! A full disk under the store: a real filesystem without room. Needs root, which mounts it.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::Duration;

use hawser_api::{Failure, Status, v1};
use hawser_daemon::{ExportMode, run_until};

use super::support::{
    Asks, MIB, Place, Spawned, TARGET, in_time, path, persistent, portal, ram, run, serve, target,
    target_named, unit,
};

const OTHER: &str = "iqn.2026-11.test.hawser:other";

/// A small filesystem as the state directory of a daemon.
struct SmallDisk(PathBuf);

impl SmallDisk {
    async fn below(place: &Place) -> Self {
        let directory = place.config.state_dir.clone();
        std::fs::create_dir(&directory).unwrap();
        let text = directory.to_str().unwrap();
        let options = "size=512k,mode=0700";
        run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", text]).await;
        Self(directory)
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.0.join("filler"))
            .unwrap();
        // The last bytes one by one: a partial page would be room.
        for piece in [&[0; 4096][..], &[0; 1]] {
            loop {
                match file.write_all(piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Leaves room for so many pages.
    fn leave(&self, pages: u64) {
        let filler = File::options().write(true).open(self.0.join("filler"));
        let filler = filler.unwrap();
        let length = filler.metadata().unwrap().len();
        filler.set_len(length - pages * 4096).unwrap();
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let done = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
        assert!(done.is_ok_and(|status| status.success()));
    }
}

fn other() -> v1::LoginRequest {
    v1::LoginRequest {
        target_name: OTHER.into(),
        ..persistent()
    }
}

/// Stores targets until there is no room; gives how many were acknowledged. What the store has already
/// room for in its log may still be stored on a full disk.
async fn store_targets(daemon: &Spawned) -> usize {
    for number in 0..1000 {
        let request = v1::AddStaticTargetRequest {
            target_name: format!("iqn.2026-11.test.hawser:static-{number}"),
            persist: true,
            portals: vec![portal(([192, 0, 2, 1], 3260).into())],
            ..v1::AddStaticTargetRequest::default()
        };
        if let Err(error) = daemon.client.discovery().add_static_target(request).await {
            assert_full(&Failure::from(error));
            return number;
        }
    }
    panic!("the disk is never full");
}

fn assert_full(failure: &Failure) {
    assert_eq!(failure.status, Status::ERROR_DISK_FULL, "{failure}");
    assert!(failure.message.contains("hawser.db"), "{failure}");
    assert!(failure.advice.contains("free space"), "{failure}");
}

/// Everything that was acknowledged is there, and nothing else.
async fn assert_nothing_lost(daemon: &Spawned, link: &str, targets: usize) {
    let update = daemon.wait(Duration::from_secs(50)).await;
    assert_eq!(update.outcome(), v1::WaitOutcome::AllUsable);
    let bound: Vec<_> = daemon.bound().await.into_iter().map(|v| v.path).collect();
    assert_eq!(bound, [link]);
    let request = v1::ListPersistentLoginsRequest {};
    let mut sessions = daemon.client.sessions();
    let logins = sessions.list_persistent_logins(request).await.unwrap();
    let logins = logins.into_inner().logins;
    let names: Vec<_> = logins.iter().map(|login| &login.target_name).collect();
    assert_eq!(names, [TARGET]);
    let request = v1::ListTargetsRequest::default();
    let mut discovery = daemon.client.discovery();
    let known = discovery.list_targets(request).await.unwrap();
    let known = known.into_inner().targets;
    assert_eq!(
        known.len(),
        targets + 2,
        "with the two that portals told of"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_changes_and_nothing_is_lost() {
    let two_disks = target().lun(2, unit(ram(MIB), "second"));
    let servers = [
        serve(two_disks).await,
        serve(target_named(OTHER, "other")).await,
    ];
    let place = Place::new(ExportMode::Nbd);
    let disk = SmallDisk::below(&place).await;
    let daemon = place.spawn().await;
    for server in &servers {
        daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    }
    daemon.login(persistent()).await.unwrap();
    let ready = |lun: u64| move |event: &v1::Event| event.lun == Some(lun << 48);
    daemon.event("disk-ready", ready(1)).await;
    daemon.event("disk-ready", ready(2)).await;
    let disks = daemon.disks().await;
    let link = |lun| {
        let disk = disks.iter().find(|disk| disk.lun_number == Some(lun));
        disk.unwrap().links[0].clone()
    };
    daemon.bind(path(link(1))).await.unwrap();

    disk.fill();
    let targets = store_targets(&daemon).await;
    assert_full(&daemon.bind(path(link(2))).await.unwrap_err());
    assert_full(&daemon.login(other()).await.unwrap_err());
    assert_nothing_lost(&daemon, &link(1), targets).await;

    // Killed and stopped, it starts on the full disk, and refuses as before.
    daemon.kill().await;
    let daemon = place.spawn().await;
    assert_nothing_lost(&daemon, &link(1), targets).await;
    daemon.terminate().await;
    disk.fill();
    let daemon = place.spawn().await;
    assert_nothing_lost(&daemon, &link(1), targets).await;
    assert_full(&daemon.bind(path(link(2))).await.unwrap_err());

    // With room it goes on at once.
    disk.make_room();
    daemon.bind(path(link(2))).await.unwrap();
    daemon.login(other()).await.unwrap();
    daemon.kill().await;
    let daemon = place.spawn().await;
    let update = daemon.wait(Duration::from_secs(50)).await;
    assert_eq!(
        (update.outcome(), update.total),
        (v1::WaitOutcome::AllUsable, 2)
    );
    daemon.terminate().await;
}

async fn add_static(daemon: &Spawned, name: &str, persist: bool) -> Result<(), Failure> {
    let request = v1::AddStaticTargetRequest {
        target_name: name.into(),
        alias: if persist { "stored" } else { "passing" }.into(),
        persist,
        ..v1::AddStaticTargetRequest::default()
    };
    let added = daemon.client.discovery().add_static_target(request).await;
    added.map(drop).map_err(Failure::from)
}

/// Name, alias and whether it is stored, of the two targets of the test.
async fn known_statics(daemon: &Spawned, names: [&str; 2]) -> Vec<(String, String, bool)> {
    let request = v1::ListTargetsRequest::default();
    let listed = daemon.client.discovery().list_targets(request).await;
    let mut targets = listed.unwrap().into_inner().targets;
    targets.retain(|target| names.contains(&target.target_name.as_str()));
    let shown = targets.into_iter();
    shown
        .map(|target| {
            let persisted = target.instances[0].persisted;
            (target.target_name, target.alias, persisted)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_stored_or_removed_stays_known_as_it_was() {
    let names = ["iqn.2026-11.test.hawser:a", "iqn.2026-11.test.hawser:b"];
    let [passing, stored] = names;
    let place = Place::new(ExportMode::None);
    let disk = SmallDisk::below(&place).await;
    let daemon = place.spawn().await;
    add_static(&daemon, passing, false).await.unwrap();
    add_static(&daemon, stored, true).await.unwrap();
    let before = known_statics(&daemon, names).await;
    let expected = [(passing, "passing", false), (stored, "stored", true)];
    let expected = expected.map(|(name, alias, kept)| (name.to_owned(), alias.to_owned(), kept));
    assert_eq!(before, expected);

    disk.fill();
    store_targets(&daemon).await;
    assert_full(&add_static(&daemon, passing, true).await.unwrap_err());
    assert_full(&add_static(&daemon, stored, false).await.unwrap_err());
    let request = v1::RemoveStaticTargetRequest {
        target_name: stored.into(),
    };
    let removed = daemon
        .client
        .discovery()
        .remove_static_target(request)
        .await;
    assert_full(&Failure::from(removed.unwrap_err()));
    assert_eq!(known_statics(&daemon, names).await, before);

    disk.make_room();
    add_static(&daemon, passing, true).await.unwrap();
    add_static(&daemon, stored, false).await.unwrap();
    let after = known_statics(&daemon, names).await;
    assert_eq!((after[0].2, after[1].2), (true, false));
    daemon.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_on_a_full_disk_says_so_and_spoils_nothing() {
    let place = Place::new(ExportMode::None);
    let disk = SmallDisk::below(&place).await;
    let mut refused = 0;
    for pages in [0, 1, 2, 4, 8, 16] {
        disk.fill();
        disk.leave(pages);
        // It ends as soon as it has started.
        let Err(error) = in_time(run_until(place.config.clone(), async {})).await else {
            break;
        };
        let error = error.to_string();
        assert!(
            error.contains("no space left"),
            "with {pages} pages: {error}"
        );
        assert!(error.contains("free space"), "with {pages} pages: {error}");
        refused += 1;
    }
    assert!(refused > 0, "it started without room");
    disk.make_room();
    let daemon = place.start().await;
    daemon.stop().await;
}
