//! The grammar: every line that the documentation promises is read, and what is wrong is refused.

use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("hawser").chain(line.split(' ')))
}

#[test]
fn the_definitions_are_sound() {
    Cli::command().debug_assert();
    DaemonProgram::command().debug_assert();
}

#[test]
fn every_promised_line_is_read() {
    for line in [
        "portal add 192.0.2.10",
        "portal add [2001:db8::1]:3261 --chap-user u --chap-secret-file -",
        "portal add [2001:db8::1]:3261 --source 2001:db8::7",
        "login iqn.2026-01.example:a --source 192.0.2.7",
        "portal remove 192.0.2.10:860",
        "portal refresh",
        "portal refresh 192.0.2.10 --json",
        "portal list --json",
        "target list --refresh --json",
        "target info iqn.2026-01.example:a",
        "target add iqn.2026-01.example:a 192.0.2.10:3260",
        "target remove iqn.2026-01.example:a",
        "login iqn.2026-01.example:a",
        "login iqn.2026-01.example:a --portal 192.0.2.10 --persist --header-digest crc32c \
         --data-digest none --chap-user u --chap-secret-file f --mutual",
        "logout iqn.2026-01.example:a --force",
        "logout fffffa800d008430-4000013700000001",
        "session list --json",
        "session show fffffa800d008430-4000013700000001 --json",
        "login iqn.2026-01.example:a --connections 2 --max-connections 4 --error-recovery-level 0",
        "session add-connection fffffa800d008430-4000013700000001",
        "session add-connection fffffa800d008430-4000013700000001 --portal 192.0.2.11 --source 192.0.2.7 \
         --header-digest crc32c --chap-user u --chap-secret-file f --json",
        "session remove-connection fffffa800d008430-4000013700000001 1",
        "session policy fffffa800d008430-4000013700000001 round-robin",
        "session policy fffffa800d008430-4000013700000001 weighted 0=3 1=0 --json",
        "persistent list --json",
        "persistent remove iqn.2026-01.example:a --portal 192.0.2.10",
        "chap-secret set --secret-file -",
        "chap-secret clear",
        "chap-secret generate",
        "chap-secret generate --output f --length 22",
        "node-name",
        "node-name iqn.2026-01.example:me",
        "node-name --default",
        "disk list --json",
        "bind /srv/data",
        "bind --all",
        "bind --all --force",
        "bind /srv/data --device /dev/loop0 --fs-type ext4 --options ro,noatime",
        "unbind /srv/data",
        "unbind --all",
        "bound --json",
        "wait",
        "wait --timeout 2.5",
        "scsi inquiry iqn.2026-01.example:a --lun 1 --page 0x83",
        "scsi capacity iqn.2026-01.example:a --lun 0x4001000000000000",
        "scsi luns fffffa800d008430-4000013700000001 --json",
        "status --json",
        "events --follow --json",
        "bench --portal 192.0.2.10:3260 --target iqn.2026-01.example:a --lun 1 --rw randread \
         --bs 4k --qd 32 --time 5 --header-digest crc32c --data-digest crc32c --json",
        "demo",
        "daemon --config f --state-dir s --runtime-dir r --export loop",
        "--socket /run/x.sock daemon",
        "target --target iqn.2026-01.example:a --lun ram:1M",
        "status --socket /run/x.sock",
        "completions bash",
        "completions zsh iscsicli",
        "man /tmp",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Err(error) = parse(&words.join(" ")) {
            panic!("{line:?}: {error}");
        }
    }
}

#[test]
fn what_is_wrong_is_refused() {
    for line in [
        "portal add",
        "portal add 192.0.2.10:0",
        "portal add a:b:c",
        "login",
        "login x --chap-secret secret",
        "login x --header-digest md5",
        "login x --source eth0",
        "portal add 192.0.2.1 --source 192.0.2.7:80",
        "chap-secret generate --length 15",
        "chap-secret generate --length 256",
        "logout",
        "session show 0-0",
        "node-name a --default",
        "bind",
        "bind /a --all",
        "bind /a --force",
        "bind --all --device /dev/loop0",
        "unbind",
        "wait --timeout -1",
        "scsi inquiry x --page 0x100",
        "bench --target iqn.2026-01.example:a --lun 1",
        "bench --portal 192.0.2.10 --target iqn.2026-01.example:a --lun 1 --bs 4095",
        "bench --portal 192.0.2.10 --target iqn.2026-01.example:a --lun 1 --qd 0",
        "target add iqn.2026-01.example:a",
        "target",
        "target list --lun ram:1M",
        "daemon --export tape",
        "frobnicate",
    ] {
        assert!(parse(line).is_err(), "{line:?} was taken");
    }
}

#[test]
fn no_option_takes_a_secret_itself() {
    fn check(command: &clap::Command) {
        for argument in command.get_arguments() {
            let name = argument.get_long().unwrap_or_default();
            let takes_value = argument.get_action().takes_values();
            let harmless = name.ends_with("-file") || !name.contains("secret");
            assert!(harmless || !takes_value, "{}: --{name}", command.get_name());
        }
        command.get_subcommands().for_each(check);
    }
    check(&Cli::command());
}

#[test]
fn the_help_names_commands_variables_and_exit_codes() {
    let help = Cli::command().render_long_help().to_string();
    for text in [
        "portal",
        "bound",
        "HAWSER_SOCKET",
        "Exit codes:",
        "130  stopped by a signal",
    ] {
        assert!(help.contains(text), "{text:?} is not in\n{help}");
    }
    assert!(help.contains("An iSCSI initiator in user space"), "{help}");
}

#[test]
fn the_documentation_has_every_command_and_exit_code() {
    fn check(command: &clap::Command, path: &str, documentation: &str) {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name());
            if sub.has_subcommands() {
                check(sub, &path, documentation);
            } else {
                assert!(
                    documentation.contains(&format!("`{path}")),
                    "{path} is not documented"
                );
            }
        }
    }
    let documentation = include_str!("../../../../docs/cli.md");
    check(&Cli::command(), "hawser", documentation);
    for (code, meaning) in exit::ALL {
        let line = format!("| {} | {} |", code.number(), meaning);
        assert!(documentation.contains(&line), "{line:?} is not documented");
    }
    for variable in [
        "HAWSER_SOCKET",
        "HAWSER_CHAP_SECRET",
        "HAWSER_MUTUAL_SECRET",
        "HAWSER_LOG",
    ] {
        assert!(
            documentation.contains(variable),
            "{variable} is not documented"
        );
    }
}
