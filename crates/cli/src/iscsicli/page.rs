//! What is printed, line by line, and the blocks of lines that several commands print.

use hawser_api::printable;
use hawser_api::v1::{AuthType, Digest, InitiatorPort, LoginOptions, TargetMapping};

/// Bytes on one line of a dump.
const DUMP_WIDTH: usize = 16;

/// The bits of security flags that are named in a listing, in its order.
const SECURITY_FLAGS: [(u64, &str); 6] = [
    (0x40, "Tunnel Mode Preferred"),
    (0x20, "Transport Mode Preferred"),
    (0x10, "PFS Enabled"),
    (0x08, "Aggressive Mode Enabled"),
    (0x02, "IPSEC Enabled"),
    (0x01, "Security Flags are Valid"),
];

/// The bits of login flags that are named in a listing.
const LOGIN_FLAGS: [(u32, &str); 2] = [(0x1, "Require IPsec"), (0x2, "Multipath Enabled")];

/// Lines that are being filled.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page(String);

impl Page {
    /// Adds a line. What comes from others goes through [`shown`] first.
    pub(super) fn line(&mut self, text: impl AsRef<str>) {
        self.0.push_str(text.as_ref());
        self.0.push('\n');
    }

    /// Adds an empty line.
    pub(super) fn blank(&mut self) {
        self.0.push('\n');
    }

    /// Puts another page before this one.
    pub(super) fn put_before(&mut self, before: &Self) {
        self.0.insert_str(0, &before.0);
    }

    /// Adds another page.
    pub(super) fn append(&mut self, after: &Self) {
        self.0.push_str(&after.0);
    }

    /// All of it.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Adds a dump: sixteen bytes a line in hexadecimal, then as characters.
    pub(super) fn dump(&mut self, indent: &str, bytes: &[u8]) {
        for row in bytes.chunks(DUMP_WIDTH) {
            let mut hex: String = row.iter().map(|byte| format!("{byte:02x} ")).collect();
            hex.push_str(&"   ".repeat(DUMP_WIDTH - row.len()));
            let plain: String = row.iter().copied().map(plain).collect();
            self.line(format!("{indent}{hex}    {plain}"));
        }
    }

    /// Adds the security flags and a line for each that is set.
    pub(super) fn security_flags(&mut self, flags: u64) {
        self.line(format!("    Security Flags        : 0x{flags:x}"));
        for (bit, name) in SECURITY_FLAGS {
            if flags & bit != 0 {
                self.line(format!("        {name}"));
            }
        }
    }

    /// Adds an initiator's port number under a label with its column.
    pub(super) fn port_number(&mut self, label: &str, initiator: Option<&InitiatorPort>) {
        match initiator.and_then(|initiator| initiator.port_number) {
            None => self.line(format!("    {label}: <Any Port>")),
            Some(number) => self.line(format!("    {label}: {number}")),
        }
    }

    /// Adds login options: what was specified, and what always counts.
    pub(super) fn login_options(&mut self, options: &LoginOptions) {
        self.line("    Version              : 0");
        let specified = information_specified(options);
        self.line(format!("    Information Specified: 0x{specified:x}"));
        if options.header_digest.is_some() {
            let digest = digest(options.header_digest());
            self.line(format!("    Header Digest        : {digest}"));
        }
        if options.data_digest.is_some() {
            let digest = digest(options.data_digest());
            self.line(format!("    Data Digest          : {digest}"));
        }
        let numbers = [
            ("Maximum Connections  ", options.max_connections),
            ("Default Time 2 Wait  ", options.default_time2wait_s),
            ("Default Time 2 Retain", options.default_time2retain_s),
        ];
        for (label, number) in numbers {
            if let Some(number) = number {
                self.line(format!("    {label}: {number}"));
            }
        }
        self.login_flags_and_names(options);
    }

    fn login_flags_and_names(&mut self, options: &LoginOptions) {
        self.line(format!(
            "    Login Flags          : 0x{:x}",
            options.login_flags
        ));
        for (bit, name) in LOGIN_FLAGS {
            if options.login_flags & bit != 0 {
                self.line(format!("                           {name}"));
            }
        }
        if let Some(number) = options.auth_type {
            let kind = match AuthType::try_from(number) {
                Ok(AuthType::None) => "None".to_owned(),
                Ok(AuthType::Chap) => "CHAP".to_owned(),
                Ok(AuthType::MutualChap) => "Mutual CHAP".to_owned(),
                Err(_) => format!("Unknown - {number}"),
            };
            self.line(format!("    Authentication Type  : {kind}"));
        }
        if let Some(name) = &options.username {
            // The blank before the line end is what Windows prints.
            self.line("    Username             : ");
            self.dump(&" ".repeat(26), name);
        }
        if options.secret_set {
            self.line("    Password             : <is established>");
        }
    }

    /// Adds a mapping of LUNs, and an empty line.
    pub(super) fn mapping(&mut self, mapping: &Mapping<'_>) {
        self.line(format!("    Session Id             : {}", mapping.session));
        self.line(format!(
            "    Target Name            : {}",
            shown(mapping.target)
        ));
        self.line(format!(
            "    Initiator              : {}",
            shown(mapping.initiator)
        ));
        self.line(format!(
            "    Initiator Scsi Device  : {}",
            shown(mapping.device)
        ));
        self.line(format!("    Initiator Bus          : {}", mapping.bus));
        self.line(format!(
            "    Initiator Target Id    : {}",
            mapping.target_id
        ));
        for (lun, os_lun) in &mapping.luns {
            let lun = hawser_api::lun_as_discovery_library(*lun);
            self.line(format!(
                "        Target LUN: 0x{lun:x} <--> OS Lun: 0x{os_lun:x}"
            ));
        }
        self.blank();
    }
}

/// A mapping as it is listed.
#[derive(Debug)]
pub(super) struct Mapping<'a> {
    /// The session, as [`id`] writes it.
    pub(super) session: String,
    /// Name of the target.
    pub(super) target: &'a str,
    /// Initiator instance.
    pub(super) initiator: &'a str,
    /// The initiator's device.
    pub(super) device: &'a str,
    /// Bus; -1 for any.
    pub(super) bus: i64,
    /// Target number; -1 for any.
    pub(super) target_id: i64,
    /// LUN as in `Disk.lun`, and the LUN of the operating system.
    pub(super) luns: Vec<(u64, u32)>,
}

impl<'a> Mapping<'a> {
    /// A mapping that is asked for, of no session yet.
    pub(super) fn stored(mapping: &TargetMapping, target: &'a str, initiator: &'a str) -> Self {
        let or_any = |number: Option<u32>| number.map_or(-1, i64::from);
        Self {
            session: id(0, 0),
            target,
            initiator,
            device: "",
            bus: or_any(mapping.os_bus_number),
            target_id: or_any(mapping.os_target_number),
            luns: mapping
                .luns
                .iter()
                .map(|lun| (lun.lun, lun.os_lun))
                .collect(),
        }
    }
}

/// An id as listings write it: no `0x`, no zeros in front.
pub(super) fn id(unique: u64, specific: u64) -> String {
    format!("{unique:x}-{specific:x}")
}

/// An id as the login commands write it.
pub(super) fn id_0x(unique: u64, specific: u64) -> String {
    format!("0x{unique:x}-0x{specific:x}")
}

/// Text of others, harmless on a terminal. A backslash stays one: names of initiators have them.
pub(super) fn shown(text: &str) -> String {
    let parts: Vec<String> = text.split('\\').map(printable).collect();
    parts.join("\\")
}

/// The character of a byte in a dump.
fn plain(byte: u8) -> char {
    if byte.is_ascii_graphic() {
        char::from(byte)
    } else {
        '.'
    }
}

fn digest(digest: Digest) -> &'static str {
    match digest {
        Digest::None => "None",
        Digest::Crc32c | Digest::PreferCrc32c => "CRC-32C",
    }
}

/// `ISCSI_LOGIN_OPTIONS.InformationSpecified` for what is there.
fn information_specified(options: &LoginOptions) -> u32 {
    let bits = [
        options.header_digest.is_some(),
        options.data_digest.is_some(),
        options.max_connections.is_some(),
        options.default_time2wait_s.is_some(),
        options.default_time2retain_s.is_some(),
        options.username.is_some(),
        options.secret_set,
        options.auth_type.is_some(),
    ];
    let set = bits.iter().enumerate().filter(|(_, there)| **there);
    set.map(|(bit, _)| 1 << bit).sum()
}
