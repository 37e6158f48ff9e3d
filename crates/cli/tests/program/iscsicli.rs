//! `iscsicli` from outside: the output as a script sees it, with a real daemon and real targets.

mod transcript;

use std::time::Duration;

use hawser_testkit::peers::{TgtConfig, TgtTarget, Tgtd, Tool, ToolOutput, wait_until};
use serde_json::Value;

use crate::hawser::{Daemon, PROGRAM, code, tool};
use crate::targets::{Embedded, SECRET, USER};

/// The thin program.
const ISCSICLI: &str = env!("CARGO_BIN_EXE_iscsicli");

const BANNER: &str = concat!(
    "Microsoft iSCSI Initiator Version ",
    env!("CARGO_PKG_VERSION_MAJOR"),
    ".",
    env!("CARGO_PKG_VERSION_MINOR"),
    " Build ",
    env!("CARGO_PKG_VERSION_PATCH"),
    "\n\n"
);
/// The last line, with its trailing blank.
const SUCCESS: &str = "The operation completed successfully. \n";

const TARGET: &str = "iqn.2026-01.example:iscsicli";
const INSTANCE: &str = r"Root\HAWSER\0000_0";

/// Runs `iscsicli WORDS…` against a daemon; a quoted word may hold blanks.
fn iscsicli(daemon: &Daemon, words: &[&str]) -> ToolOutput {
    let tool = tool(ISCSICLI).env("HAWSER_SOCKET", daemon.socket());
    tool.args(words).run().expect("it ends in time")
}

/// Runs a command line that must work; gives what is between banner and status.
fn ok(daemon: &Daemon, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let output = iscsicli(daemon, &words);
    assert_eq!(code(&output), 0, "{line}: {output:?}");
    body(&output.stdout, SUCCESS).unwrap_or_else(|| panic!("{line}: {output:?}"))
}

/// What is between banner and the last line.
fn body(stdout: &str, last: &str) -> Option<String> {
    let rest = stdout.strip_prefix(BANNER)?;
    rest.strip_suffix(last).map(str::to_owned)
}

/// Runs a command line that must fail: with this exit code and last line. Gives stderr.
fn fails(daemon: &Daemon, line: &str, exit: i32, last: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let output = iscsicli(daemon, &words);
    assert_eq!(code(&output), exit, "{line}: {output:?}");
    assert!(output.stdout.starts_with(BANNER), "{line}: {output:?}");
    assert!(
        output.stdout.ends_with(&format!("{last} \n")),
        "{line}: {output:?}"
    );
    output.stderr
}

/// The value behind a label.
fn value<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.unwrap_or_else(|| panic!("no {label:?} in {text}"))
        .trim_start_matches([' ', ':'])
}

fn address_and_port(portal: &str) -> (&str, &str) {
    portal.rsplit_once(':').expect("has a port")
}

#[test]
fn the_main_job_on_our_own_target() {
    let mut daemon = Daemon::start("loop");
    let own = Embedded::with_chap(TARGET, daemon.directory());
    main_job(&mut daemon, &own.portal(), "0");
}

#[test]
fn the_main_job_on_tgt() {
    let mut daemon = Daemon::start("loop");
    let config = TgtTarget::new(TARGET).disks(1, 64 << 20).chap(USER, SECRET);
    let tgtd = Tgtd::start(TgtConfig::new().target(config)).expect("tgt runs");
    main_job(&mut daemon, &tgtd.portal().to_string(), "100");
}

/// Discover, log in, look, bind, unbind, log out: each step as a script types and reads it.
fn main_job(daemon: &mut Daemon, portal: &str, lun: &str) {
    discover(daemon, portal);
    let session = log_in(daemon, portal);
    send_scsi(daemon, &session, lun);
    let disk = daemon.disk(TARGET, u64::from(lun != "0"));
    let device = disk["device"].as_str().expect("it has one");
    let volume = mounted(daemon, device);
    sessions_and_devices(daemon, &session, device, &volume);
    bind_and_unbind(daemon, &volume);
    log_out(daemon, &session, &volume);
    daemon.stop();
}

fn discover(daemon: &Daemon, portal: &str) {
    let (address, port) = address_and_port(portal);
    assert_eq!(ok(daemon, "ListTargetPortals"), "");
    assert_eq!(ok(daemon, &format!("AddTargetPortal {address} {port}")), "");
    let listed = ok(daemon, "ListTargetPortals");
    let head = format!(
        "Total of 1 portals are persisted:\n\n    Address and Socket   : {address} {port}\n"
    );
    assert!(listed.starts_with(&head), "{listed}");
    let targets = format!("Targets List:\n    {TARGET}\n");
    assert_eq!(ok(daemon, "ListTargets"), targets);
    assert_eq!(ok(daemon, "LISTTARGETS t"), targets);
    assert_eq!(
        ok(daemon, &format!("RefreshTargetPortal {address} {port} * *")),
        ""
    );
    let told = ok(daemon, &format!("TargetInfo {TARGET}"));
    let mechanism = told.lines().nth(2).expect("there is one").trim();
    let mechanism = mechanism.trim_matches('"');
    assert!(mechanism.starts_with("SendTargets:*"), "{told}");
    let told = iscsicli(daemon, &["TargetInfo", TARGET, mechanism]).stdout;
    assert_eq!(
        value(&told, "    PortalGroups"),
        "1 portal groups",
        "{told}"
    );
    assert_eq!(value(&told, "    Initiator Name"), INSTANCE, "{told}");
}

/// Logs in now and for good; gives the session's id.
fn log_in(daemon: &Daemon, portal: &str) -> String {
    let wrong = "QLoginTarget iqn.2026-01.example:iscsicli tester not-this-secret";
    fails(daemon, wrong, 0x09, "Authentication failed.");
    let told = ok(daemon, &format!("QLoginTarget {TARGET} {USER} {SECRET}"));
    let lines: Vec<&str> = told.lines().collect();
    let [session, connection] = lines[..] else {
        panic!("{told}");
    };
    let session = session.strip_prefix("Session Id is 0x").expect("is told");
    assert!(connection.starts_with("Connection Id is 0x"), "{told}");
    let again = format!("QLoginTarget {TARGET} {USER} {SECRET}");
    fails(daemon, &again, 0x3f, "The target is logged in already.");

    let (address, port) = address_and_port(portal);
    let line = format!(
        "PersistentLoginTarget {TARGET} T {address} {port} * * 0 * * * * * * {USER} {SECRET} 1 * 0"
    );
    let told = ok(daemon, &line);
    let heading = format!("LoginTarget to {TARGET} on <no init instance> to {address}/{port}\n");
    assert_eq!(told, heading);
    let listed = ok(daemon, "ListPersistentTargets");
    assert!(
        listed.starts_with("Total of 1 peristent targets\n"),
        "{listed}"
    );
    assert_eq!(value(&listed, "    Target Name"), TARGET);
    assert_eq!(
        value(&listed, "    Address and Socket"),
        format!("{address} {port}")
    );
    assert_eq!(value(&listed, "    Port Number"), "<Any Port>");
    assert_eq!(value(&listed, "    Information Specified"), "0xe0");
    assert_eq!(value(&listed, "    Authentication Type"), "CHAP");
    assert_eq!(value(&listed, "    Password"), "<is established>");
    assert!(!listed.contains(SECRET), "{listed}");
    format!("0x{session}")
}

fn send_scsi(daemon: &Daemon, session: &str, lun: &str) {
    let told = ok(daemon, &format!("ScsiInquiry {session} {lun} 0 0"));
    assert!(
        told.starts_with("    ScsiStatus             : 0x0\n    Response Buffer Size   : 0x"),
        "{told}"
    );
    let told = ok(daemon, &format!("ScsiInquiry {session} {lun} 1 0x83"));
    let dump = told.lines().nth(2).unwrap_or_default();
    assert!(dump.starts_with("        00 83 00 "), "{told}");
    let told = ok(daemon, &format!("ReadCapacity {session} {lun}"));
    // 64 MiB in blocks of 512 bytes.
    let capacity = "    ScsiStatus             : 0x0\n    Response Buffer Size   : 0x8\n        \
                    00 01 ff ff 00 00 02 00                             ........\n";
    assert_eq!(told, capacity);
    let told = ok(daemon, &format!("ReportLUNs {session}"));
    assert_eq!(value(&told, "    ScsiStatus"), "0x0");
    let line = format!("ScsiInquiry {session} {lun} 1 0xfe");
    let said = "The SCSI command failed; its status and sense data say why.";
    let stderr = fails(daemon, &line, 0x1d, said);
    assert!(
        stderr.contains("ISDSC_SCSI_REQUEST_FAILED (0xefff001d)"),
        "{stderr}"
    );
    let absent = "ReportLUNs 0x1-0x2";
    fails(daemon, absent, 0x1c, "There is no such session.");
}

/// Makes a filesystem on a device and mounts it.
fn mounted(daemon: &Daemon, device: &str) -> String {
    let volume = daemon.path("volume");
    let volume = volume.to_str().expect("is UTF-8").to_owned();
    run("mkfs.ext4", &["-q", "-F", device]);
    run("mount", &[device, &volume]);
    volume
}

fn run(program: &str, words: &[&str]) {
    let tool = Tool::new(program).expect("it is installed");
    tool.args(words).run_ok().expect("it works");
}

fn sessions_and_devices(daemon: &Daemon, session: &str, device: &str, volume: &str) {
    let plain = session.replace("0x", "");
    let ready = wait_until("the device to be listed", Duration::from_secs(30), || {
        let listed = ok(daemon, "SessionList");
        let number = listed.contains("Device Number          : ") && !listed.contains(": -1\n");
        if number { Ok(listed) } else { Err(listed) }
    });
    let listed = ready.expect("it is");
    let head = format!("Total of 1 sessions\n\nSession Id             : {plain}\n");
    assert!(listed.starts_with(&head), "{listed}");
    assert_eq!(value(&listed, "Target Name"), TARGET);
    assert_eq!(value(&listed, "Number Connections"), "1");
    assert_eq!(value(&listed, "        Device Type"), "Disk");
    assert_eq!(value(&listed, "        Legacy Device Name"), device);
    let paths = format!(
        "        Volume Path Names      : \n{}{volume}\n",
        " ".repeat(33)
    );
    assert!(listed.contains(&paths), "{listed}");
    let short = ok(daemon, "SessionList F");
    assert!(listed.starts_with(short.trim_end()), "{short}");
    assert!(!short.contains("Devices:"), "{short}");

    let connection = value(&listed, "        Connection Id").to_owned();
    let line = format!("RemoveConnection {session} {connection}");
    let said = "The last connection of a session must not be removed.";
    fails(daemon, &line, 0x3d, said);
    let line = format!("QAddConnection {session} {INSTANCE} *");
    fails(daemon, &line, 0x0e, "Too many connections.");

    let mappings = ok(daemon, "ReportTargetMappings");
    assert!(
        mappings.starts_with("Total of 1 mappings returned\n"),
        "{mappings}"
    );
    assert_eq!(value(&mappings, "    Session Id"), plain);
    assert_eq!(value(&mappings, "    Initiator  "), INSTANCE);
}

fn bind_and_unbind(daemon: &Daemon, volume: &str) {
    let report = format!("Persistent Volumes\n\"{volume}\"\n\n");
    assert_eq!(ok(daemon, "ReportPersistentDevices"), "");
    assert_eq!(ok(daemon, &format!("AddPersistentDevice {volume}")), "");
    assert_eq!(ok(daemon, "ReportPersistentDevices"), report);
    let again = format!("AddPersistentDevice {volume}");
    fails(
        daemon,
        &again,
        0x5c,
        "The volume or device is bound already.",
    );
    assert_eq!(ok(daemon, &format!("RemovePersistentDevice {volume}")), "");
    let said = "There is no such volume or device.";
    fails(
        daemon,
        &format!("RemovePersistentDevice {volume}"),
        0x5d,
        said,
    );
    fails(daemon, "AddPersistentDevice /no/such/path", 0x5d, said);
    for bind in ["BindPersistentVolumes", "bindpersistentdevices"] {
        assert_eq!(ok(daemon, bind), "");
        let listed = ok(daemon, "ReportPersistentDevices");
        assert!(listed.contains(&format!("\"{volume}\"\n")), "{listed}");
    }
    assert_eq!(ok(daemon, "ClearPersistentDevices"), "");
    assert_eq!(ok(daemon, "ReportPersistentDevices"), "");
}

fn log_out(daemon: &Daemon, session: &str, volume: &str) {
    let said = "The logout was refused: a device of the session is in use.";
    fails(daemon, &format!("LogoutTarget {session}"), 0x40, said);
    run("umount", &[volume]);
    let told = ok(daemon, &format!("LogoutTarget {session}"));
    assert!(told.starts_with("Logout Target 0x"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert_eq!(ok(daemon, "SessionList"), "Total of 0 sessions\n\n");
    assert_eq!(ok(daemon, "ReportTargetMappings"), "No mappings\n");
    let line = format!("RemovePersistentTarget * {TARGET} * * 99999");
    assert_eq!(ok(daemon, &line), "");
    assert_eq!(ok(daemon, "ListPersistentTargets"), "");
    let said = "The target is not known, or hidden from login.";
    fails(daemon, &line, 0x29, said);
}

/// Logins with every word given: portal, instance, digests, mapping; a second, informational session.
#[test]
fn full_forms_on_our_own_target() {
    let mut daemon = Daemon::start("none");
    let own = Embedded::start(&["--target", TARGET, "--lun", "ram:64M", "--lun", "ram:64M"]);
    let portal = own.portal();
    let (address, port) = address_and_port(&portal);
    let add = format!("AddTargetPortal {address} {port} {INSTANCE} * 0x1 0 * * * * * * * *");
    assert_eq!(ok(&daemon, &add), "");
    let listed = ok(&daemon, "ListTargetPortals");
    let flags = "    Security Flags        : 0x1\n        Security Flags are Valid\n";
    assert!(listed.contains(flags), "{listed}");

    let lun = |number: u8| format!("0x000000000000{number:02x}00 3 5 {}", 9 + number);
    let maps = format!("2 {} {}", lun(0), lun(1));
    let login = format!(
        "LoginTarget {TARGET} T {address} {port} {INSTANCE} * 0 0x2 1 1 1 2 20 * * 0 * {maps}"
    );
    let told = ok(&daemon, &login);
    let heading = format!("LoginTarget to {TARGET} on {INSTANCE} to {address}/{port}\n");
    assert!(told.starts_with(&heading), "{told}");
    let session = value(&told, "Session Id is ").to_owned();
    let mapped = "    Initiator Bus          : 3\n    Initiator Target Id    : 5\n        \
                  Target LUN: 0x0 <--> OS Lun: 0x9\n        Target LUN: 0x100 <--> OS Lun: 0xa\n";
    let seen = wait_until("both LUNs to be mapped", Duration::from_secs(30), || {
        let listed = ok(&daemon, "ReportTargetMappings");
        listed.contains(mapped).then_some(()).ok_or(listed)
    });
    seen.expect("they are");

    let second = format!("LoginTarget {TARGET} F * * * * 0 0x2 * * * * * * * * * 0");
    let told = ok(&daemon, &second);
    let informational = value(&told, "Session Id is ").to_owned();
    assert!(ok(&daemon, "SessionList F").starts_with("Total of 2 sessions\n"));
    let luns = ok(&daemon, &format!("ReportLUNs {informational}"));
    assert_eq!(value(&luns, "    Response Buffer Size"), "0x18", "{luns}");
    let once = second.replace("0x2", "0");
    let said = "The target is logged in already.";
    fails(&daemon, &once, 0x3f, said);
    for session in [session, informational] {
        let told = ok(&daemon, &format!("LogoutTarget {session}"));
        assert_eq!(told, format!("Logout Target {session}\n"));
    }
    daemon.stop();
}

#[test]
fn words_that_are_not_utf8_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let word = std::ffi::OsStr::from_bytes(b"/srv/\xff");
    let tool = tool(ISCSICLI).env("HAWSER_SOCKET", "/no/such/socket");
    let output = tool.arg("AddPersistentDevice").arg(word).run();
    let output = output.expect("it ends in time");
    assert_eq!(code(&output), 87, "{output:?}");
    assert!(output.stderr.contains("is not UTF-8"), "{output:?}");
}

#[test]
fn static_targets_names_servers_and_keys() {
    let mut daemon = Daemon::start("none");
    let full = format!("AddTarget {TARGET} alias 192.0.2.1 3260 0x2 T 0x2 1 * * * * * * * 0");
    assert_eq!(ok(&daemon, &full), "");
    assert_eq!(
        ok(&daemon, "ListTargets"),
        "Targets List:\n",
        "it is hidden"
    );
    assert_eq!(ok(&daemon, &format!("RemoveTarget {TARGET}")), "");
    let said = "The target is not known, or hidden from login.";
    fails(&daemon, &format!("RemoveTarget {TARGET}"), 0x29, said);
    assert_eq!(ok(&daemon, &format!("QAddTarget {TARGET} *")), "");
    let targets = format!("Targets List:\n    {TARGET}\n");
    assert_eq!(ok(&daemon, "ListTargets"), targets);
    let said = "No portal of the target is known and none was given.";
    fails(&daemon, &format!("QLoginTarget {TARGET}"), 0x3c, said);
    options_of_a_static_target(&daemon);
    let said = "There is no such portal.";
    fails(&daemon, "RemoveTargetPortal 192.0.2.1 3260", 0x43, said);

    assert_eq!(
        ok(&daemon, "ListInitiators"),
        format!("Initiators List:\n    {INSTANCE}\n")
    );
    assert_eq!(ok(&daemon, "NodeName iqn.2026-01.example:me"), "");
    assert_eq!(
        daemon.json(&["node-name"])["node_name"],
        "iqn.2026-01.example:me"
    );
    assert_eq!(ok(&daemon, "NodeName *"), "");
    let long = format!("NodeName iqn.{}", "a".repeat(224));
    let said = "The iSCSI name is too long or has illegal characters.";
    fails(&daemon, &long, 0x51, said);

    assert_eq!(ok(&daemon, "CHAPSecret a-secret-of-many"), "");
    assert_eq!(ok(&daemon, "CHAPSecret *"), "");
    let said = "Done, but the CHAP secret has fewer than 96 bits: without IPsec it can be guessed \
                from a recorded login.";
    fails(&daemon, "CHAPSecret short", 0x48, said);
    let said = "The initiator CHAP secret is invalid.";
    fails(&daemon, "CHAPSecret a-secret-of-far-too-many", 0x4c, said);
    servers_and_keys(&daemon);
    daemon.stop();
}

/// What was given is specified, be it empty, and what was not is not.
fn options_of_a_static_target(daemon: &Daemon) {
    let listed = |options: &str| {
        let add = format!("AddTarget {TARGET} * * 99999 0 F {options} 0");
        assert_eq!(ok(daemon, &add), "");
        ok(daemon, &format!("TargetInfo {TARGET} Static:"))
    };
    let none = listed("* * * * * * * * *");
    let lines = "    Version              : 0\n    Information Specified: 0x0\n    \
                 Login Flags          : 0x0\n";
    assert!(none.contains(lines), "{none}");
    let some = listed("0x2 * * 0 * * - - *");
    let lines = "    Version              : 0\n    Information Specified: 0x64\n    \
                 Maximum Connections  : 65535\n    Login Flags          : 0x2\n                           \
                 Multipath Enabled\n    Username             : \n    \
                 Password             : <is established>\n";
    assert!(some.contains(lines), "{some}");
    let late = format!("AddTarget {TARGET} * * * 0 F * * * * 3601 * * * * 0");
    let said = "The login parameters are invalid.";
    fails(daemon, &late, 0x2a, said);
}

fn servers_and_keys(daemon: &Daemon) {
    assert_eq!(ok(daemon, "ListiSNSServers"), "No SNS Servers\n");
    let said = "The iSNS server is unknown or unreachable.";
    fails(daemon, "AddiSNSServer 127.0.0.1", 0x3a, said);
    assert_eq!(ok(daemon, "ListiSNSServers"), "    127.0.0.1\n");
    assert_eq!(ok(daemon, "RemoveiSNSServer 127.0.0.1"), "");
    fails(daemon, "RemoveiSNSServer 127.0.0.1", 0x3a, said);
    assert_eq!(ok(daemon, "RefreshiSNSServer *"), "");

    assert_eq!(ok(daemon, "GroupKey key T"), "");
    assert_eq!(ok(daemon, "PSKey * * 0x43 2 a.example key F"), "");
    let flags = "    Security Flags        : 0x43\n        Tunnel Mode Preferred\n        \
                 IPSEC Enabled\n        Security Flags are Valid\n";
    assert_eq!(ok(daemon, "GetPSKey * * 2 a.example"), flags);
    let said = "There is no preshared key for that target or IKE identity.";
    fails(daemon, "GetPSKey * * 2 b.example", 0x27, said);
    assert_eq!(ok(daemon, "TunnelAddr * * * 192.0.2.1 F"), "");
}

#[test]
fn commands_come_through_a_pipe() {
    let mut daemon = Daemon::start("none");
    let name = daemon.json(&["node-name"]);
    let name = name["node_name"].as_str().expect("there is one");
    let prompt = format!("[{name}] Enter command or ^C to exit\n");
    let run = |input: &str| {
        let tool = tool(ISCSICLI).env("HAWSER_SOCKET", daemon.socket());
        tool.input(input).run().expect("it ends in time")
    };
    let output = run("");
    assert_eq!(output.stdout, format!("{BANNER}{prompt}"));
    assert_eq!(code(&output), 0);

    let output = run("QAddTarget iqn.2026-01.example:a *\nlisttargets \"F\"\n");
    let expected = format!(
        "{BANNER}{prompt}{SUCCESS}{prompt}Targets List:\n    iqn.2026-01.example:a\n{SUCCESS}{prompt}"
    );
    assert_eq!(output.stdout, expected);
    assert_eq!((code(&output), output.stderr.as_str()), (0, ""));

    // How scripts learn the name: a command that there is not.
    let output = run("x");
    assert_eq!(output.stdout.lines().nth(2), Some(prompt.trim_end()));
    assert!(output.stdout.contains("iscsicli AddTarget <TargetName>"));
    assert!(
        output.stdout.ends_with(&format!("{SUCCESS}{prompt}")),
        "{output:?}"
    );
    assert!(
        output.stderr.contains("there is no command x"),
        "{output:?}"
    );

    // The last command decides, and a line that is too long is no command.
    let output = run(&format!("ListTargets\n{}\n", "x".repeat(5000)));
    assert_eq!(code(&output), 87, "{output:?}");
    daemon.stop();
}

#[test]
fn json_has_the_same_and_the_status() {
    let mut daemon = Daemon::start("none");
    ok(&daemon, "QAddTarget iqn.2026-01.example:a *");
    for words in [["--json", "ListTargets"], ["ListTargets", "--json"]] {
        let output = iscsicli(&daemon, &words);
        let told: Value = serde_json::from_str(&output.stdout).expect("is JSON");
        assert_eq!(told["command"], "ListTargets", "{told}");
        assert_eq!(told["status"], 0, "{told}");
        assert_eq!(told["result"], serde_json::json!(["iqn.2026-01.example:a"]));
    }
    let output = iscsicli(
        &daemon,
        &["--json", "RemoveTarget", "iqn.2026-01.example:b"],
    );
    assert_eq!(code(&output), 0x29);
    let told: Value = serde_json::from_str(&output.stdout).expect("is JSON");
    assert_eq!(told["status"], 0xefff_0029_u32, "{told}");
    assert_eq!(told["status_name"], "ISDSC_TARGET_NOT_FOUND", "{told}");
    assert_eq!(told["error"]["target"], "iqn.2026-01.example:b", "{told}");
    daemon.stop();
}

#[test]
fn hawser_speaks_so_too() {
    let mut daemon = Daemon::start("none");
    let told = daemon.ok(&["iscsicli", "ListTargets"]);
    assert_eq!(told, format!("{BANNER}Targets List:\n{SUCCESS}"));
    daemon.stop();
}

#[test]
fn without_a_daemon_the_status_says_so() {
    let run = |program: &str, words: &[&str]| {
        let tool = tool(program).env("HAWSER_SOCKET", "/no/such/socket");
        tool.args(words).run().expect("it ends in time")
    };
    let said = "The initiator service (hawserd) is not running. \n";
    for output in [
        run(ISCSICLI, &["ListTargets"]),
        run(PROGRAM, &["iscsicli", "ListTargets"]),
    ] {
        assert_eq!(output.stdout, format!("{BANNER}{said}"), "{output:?}");
        assert_eq!(code(&output), 0x3e);
        assert!(output.stderr.contains("/no/such/socket"), "{output:?}");
    }
    let output = run(ISCSICLI, &[]);
    assert_eq!(
        output.stdout,
        format!("{BANNER}Error getting node name: {said}")
    );
    assert_eq!(code(&output), 0x3e);

    // What is wrong with the words is told without asking anybody, as success.
    let output = run(ISCSICLI, &["LoginTarget", "iqn.a"]);
    assert_eq!(code(&output), 0);
    assert!(output.stdout.ends_with(SUCCESS), "{output:?}");
    assert!(
        output
            .stdout
            .contains("\niscsicli LoginTarget <TargetName>"),
        "{output:?}"
    );
    assert!(output.stderr.contains("nothing was done"), "{output:?}");
    let output = run(ISCSICLI, &["LogoutTarget", "nothing"]);
    assert_eq!(code(&output), 87);
    assert!(
        output.stdout.contains("\nInvalid sessionid: nothing\n"),
        "{output:?}"
    );
}
