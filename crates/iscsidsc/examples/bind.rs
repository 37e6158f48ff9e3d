//! Binds the disks of a target: from then on the services that need them start only when they are there.
//!
//!     cargo run -p iscsidsc --example bind -- 192.0.2.10 3260 iqn.2026-11.example:disk
//!
//! Discovers, logs in now and at every start, waits for the disks as a program for Windows does, binds them, and
//! reports what is bound. Needs a running `hawserd` and the right to change what it does.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use iscsidsc::api::{Device, InitiatorPort, Library, Login, Portal, SessionId, Status};

/// How long the disks of a session may take to appear after its login.
const PATIENCE: Duration = Duration::from_secs(30);
/// `DeviceNumber` of a disk that is not ready.
const NOT_READY: u32 = u32::MAX;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, socket, target] = &arguments[..] else {
        eprintln!("usage: bind ADDRESS PORT TARGET");
        return ExitCode::from(2);
    };
    let Ok(socket) = socket.parse() else {
        eprintln!("{socket} is no TCP port");
        return ExitCode::from(2);
    };
    match bind(&Portal::new(address, socket), target) {
        Ok(()) => ExitCode::SUCCESS,
        Err(status) => {
            eprintln!("{status}: {}", status.text());
            ExitCode::FAILURE
        }
    }
}

fn bind(portal: &Portal, target: &str) -> Result<(), Status> {
    let library = Library::new();
    library.add_send_target_portal(&InitiatorPort::any(), None, 0, portal)?;
    for name in library.targets(false)? {
        println!("target: {name}");
    }
    // As on Windows a persistent login is only stored: the session of today is another call.
    library.login(login(target, true))?;
    let session = match library.login(login(target, false)) {
        Ok(done) => done.value.session_id,
        Err(Status::TARGET_ALREADY_LOGGED_IN) => session_of(&library, target)?,
        Err(status) => return Err(status),
    };
    for device in disks(&library, session)? {
        println!("disk: {}", device.legacy_name);
        match library.add_persistent_device(&device.interface_name) {
            Ok(()) | Err(Status::DEVICE_ALREADY_PERSISTENTLY_BOUND) => {}
            Err(status) => return Err(status),
        }
    }
    for path in library.persistent_devices()? {
        println!("bound: {path}");
    }
    Ok(())
}

fn login(target: &str, persistent: bool) -> Login {
    Login {
        target_name: target.into(),
        persistent,
        ..Login::default()
    }
}

fn session_of(library: &Library, target: &str) -> Result<SessionId, Status> {
    let sessions = library.sessions()?;
    let found = sessions.iter().find(|one| one.target_name == target);
    found.map(|one| one.id).ok_or(Status::INVALID_SESSION_ID)
}

/// Disks appear some time after a login; there is no call that waits for them.
fn disks(library: &Library, session: SessionId) -> Result<Vec<Device>, Status> {
    let begun = Instant::now();
    loop {
        let devices = library.devices(session)?;
        let ready = |device: &Device| device.storage_device_number.device_number != NOT_READY;
        if !devices.is_empty() && devices.iter().all(ready) {
            return Ok(devices);
        }
        if begun.elapsed() > PATIENCE {
            return Err(Status::DEVICE_NOT_FOUND);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
