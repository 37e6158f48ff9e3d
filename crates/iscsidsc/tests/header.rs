//! `include/iscsidsc.h` holds what Windows programs expect of it: every compiler takes it without a warning, in C and in
//! C++, its prototypes are those of `exports.tsv`, its numbers those of the Rust side. (Sizes and offsets it asserts
//! itself.)
#![cfg(target_pointer_width = "64")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use hawser_api::Status;
use iscsidsc::abi::constants;

const EXPORTS: &str = include_str!("exports.tsv");

const COMPILERS: [(&str, &[&str]); 4] = [
    ("gcc", &["-x", "c", "-std=c11"]),
    ("g++", &["-x", "c++", "-std=c++17"]),
    ("clang", &["-x", "c", "-std=c11"]),
    ("clang++", &["-x", "c++", "-std=c++17"]),
];

/// The standards from the first to the last that the header is for, which these compilers all have.
const C_STANDARDS: [&str; 3] = ["-std=c11", "-std=c17", "-std=c2x"];
const CPP_STANDARDS: [&str; 3] = ["-std=c++11", "-std=c++17", "-std=c++20"];

/// Compiles `source` with `compiler` and gives what it said if it took offence.
fn compile(compiler: &str, language: &[&str], more: &[&str], source: &Path) -> Result<(), String> {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let output = Command::new(compiler)
        .args(language)
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"])
        .args(more)
        .arg("-I")
        .arg(include)
        .arg(source)
        .output()
        .unwrap_or_else(|error| {
            panic!("{compiler} is needed, see testkit/debian-packages.txt: {error}")
        });
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn each_compiler_takes(source: &str) {
    each_takes(
        &COMPILERS.map(|(compiler, language)| (compiler, language.to_vec())),
        source,
    );
}

/// The same by each standard.
fn each_standard_takes(source: &str) {
    let of = |compiler, language, standards: [&'static str; 3]| {
        standards.map(|standard| (compiler, vec!["-x", language, standard]))
    };
    let all = [
        of("gcc", "c", C_STANDARDS),
        of("g++", "c++", CPP_STANDARDS),
        of("clang", "c", C_STANDARDS),
        of("clang++", "c++", CPP_STANDARDS),
    ];
    each_takes(&all.concat(), source);
}

fn each_takes(compilers: &[(&str, Vec<&str>)], source: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("program.c");
    fs::write(&file, source).unwrap();
    for (compiler, language) in compilers {
        for more in [&[][..], &["-DUNICODE"]] {
            if let Err(said) = compile(compiler, language, more, &file) {
                panic!("{compiler} {language:?} {more:?}: {said}");
            }
        }
    }
}

fn prototypes() -> impl Iterator<Item = (&'static str, &'static str)> {
    EXPORTS.lines().map(|line| line.split_once('\t').unwrap())
}

#[test]
fn the_header_stands_alone_and_twice() {
    each_standard_takes("#include <iscsidsc.h>\n#include <iscsidsc.h>\n");
}

/// As programs for Windows are written that can be built for either width.
#[test]
fn a_program_in_generic_text_is_one_of_either_width() {
    each_standard_takes(include_str!("c/generic_text.c"));
}

/// Types of another header keep theirs.
#[test]
fn windows_types_of_others_are_left_alone() {
    let own = include_str!("../include/iscsidsc.h");
    let begin = own.find("#ifndef ISCSIDSC_HAVE_WINDOWS_TYPES").unwrap();
    let end = own
        .find("#endif /* ISCSIDSC_HAVE_WINDOWS_TYPES */")
        .unwrap();
    // Another type of the name, which a second definition would contradict.
    let types = own[begin..end].replace("typedef int BOOL;", "typedef long BOOL;");
    assert!(types.contains("long BOOL"));
    let source = format!(
        "#include <stddef.h>\n#include <stdint.h>\n#ifndef __cplusplus\n#include <uchar.h>\n#endif\n\
         {types}#endif\n#define ISCSIDSC_HAVE_WINDOWS_TYPES\n#include <iscsidsc.h>\n"
    );
    each_compiler_takes(&source);
}

/// A second declaration must say the same as the first, or the compiler refuses it.
#[test]
fn prototypes_are_those_of_the_list() {
    assert_eq!(prototypes().count(), 79);
    let mut source =
        String::from("#include <iscsidsc.h>\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
    for (_, prototype) in prototypes() {
        writeln!(source, "{prototype}").unwrap();
    }
    source.push_str("#ifdef __cplusplus\n}\n#endif\n");
    each_compiler_takes(&source);
}

/// The check above can fail.
#[test]
fn a_wrong_prototype_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("program.c");
    let wrong = "#include <iscsidsc.h>\nISDSC_STATUS WINAPI AddISNSServerA(PWSTR Address);\n";
    fs::write(&file, wrong).unwrap();
    let (compiler, language) = COMPILERS[0];
    assert!(compile(compiler, language, &[], &file).is_err());
}

#[test]
fn names_without_suffix_are_there_for_every_pair() {
    let mut source = String::from(
        "#include <iscsidsc.h>\nvoid use(const void *);\nvoid all(void);\nvoid all(void) {\n",
    );
    for (name, _) in prototypes() {
        let wide = format!("{}W", name.trim_end_matches('A'));
        if name.ends_with('A') && prototypes().any(|(other, _)| other == wide) {
            let bare = name.trim_end_matches('A');
            writeln!(source, "#ifndef {bare}\n#error {bare}\n#endif").unwrap();
            writeln!(source, "    (void)&{bare};").unwrap();
        }
    }
    source.push_str("}\n");
    each_compiler_takes(&source);
}

#[test]
fn statuses_are_those_of_the_table() {
    let mut source = String::from("#include <iscsidsc.h>\n");
    for info in Status::ALL {
        let (name, code) = (info.name, info.status.code());
        writeln!(source, "ISCSIDSC_ASSERT({name} == {code:#x}, \"{name}\");").unwrap();
    }
    writeln!(
        source,
        "ISCSIDSC_ASSERT(ISDSC_VOLUME_ALREADY_PERSISTENTLY_BOUND == 0xEFFF005C, \"alias\");"
    )
    .unwrap();
    each_compiler_takes(&source);
}

macro_rules! named {
    ($($name:ident),+ $(,)?) => {
        [$((stringify!($name), i128::from(constants::$name as i64))),+]
    };
}

#[test]
#[allow(clippy::cast_possible_wrap, clippy::cast_lossless)]
fn constants_are_those_of_the_rust_side() {
    let all = named![
        MAX_PATH,
        MAX_ISCSI_HBANAME_LEN,
        MAX_ISCSI_NAME_LEN,
        MAX_ISCSI_ALIAS_LEN,
        MAX_ISCSI_PORTAL_NAME_LEN,
        MAX_ISCSI_PORTAL_ALIAS_LEN,
        MAX_ISCSI_TEXT_ADDRESS_LEN,
        MAX_ISCSI_PORTAL_ADDRESS_LEN,
        MAX_ISCSI_DISCOVERY_DOMAIN_LEN,
        MAX_RADIUS_ADDRESS_LEN,
        ISCSI_LOGIN_OPTIONS_VERSION,
        ISCSI_ANY_INITIATOR_PORT,
        ISCSI_ALL_INITIATOR_PORTS,
        ISCSI_DIGEST_TYPE_NONE,
        ISCSI_DIGEST_TYPE_CRC32C,
        ISCSI_NO_AUTH_TYPE,
        ISCSI_CHAP_AUTH_TYPE,
        ISCSI_MUTUAL_CHAP_AUTH_TYPE,
        IKE_AUTHENTICATION_PRESHARED_KEY_METHOD,
        ISCSI_TCP_PROTOCOL_TYPE,
        ProtocolType,
        TargetAlias,
        DiscoveryMechanisms,
        PortalGroups,
        PersistentTargetMappings,
        InitiatorName,
        TargetFlags,
        LoginOptions,
        ISCSI_LOGIN_OPTIONS_HEADER_DIGEST,
        ISCSI_LOGIN_OPTIONS_DATA_DIGEST,
        ISCSI_LOGIN_OPTIONS_MAXIMUM_CONNECTIONS,
        ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_WAIT,
        ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_RETAIN,
        ISCSI_LOGIN_OPTIONS_USERNAME,
        ISCSI_LOGIN_OPTIONS_PASSWORD,
        ISCSI_LOGIN_OPTIONS_AUTH_TYPE,
        ISCSI_LOGIN_FLAG_REQUIRE_IPSEC,
        ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED,
        ISCSI_LOGIN_FLAG_RESERVED1,
        ISCSI_LOGIN_FLAG_ALLOW_PORTAL_HOPPING,
        ISCSI_LOGIN_FLAG_USE_RADIUS_RESPONSE,
        ISCSI_LOGIN_FLAG_USE_RADIUS_VERIFICATION,
        ISCSI_SECURITY_FLAG_VALID,
        ISCSI_SECURITY_FLAG_IKE_IPSEC_ENABLED,
        ISCSI_SECURITY_FLAG_MAIN_MODE_ENABLED,
        ISCSI_SECURITY_FLAG_AGGRESSIVE_MODE_ENABLED,
        ISCSI_SECURITY_FLAG_PFS_ENABLED,
        ISCSI_SECURITY_FLAG_TRANSPORT_MODE_PREFERRED,
        ISCSI_SECURITY_FLAG_TUNNEL_MODE_PREFERRED,
        ISCSI_TARGET_FLAG_HIDE_STATIC_TARGET,
        ISCSI_TARGET_FLAG_MERGE_TARGET_INFORMATION,
        ID_IPV4_ADDR,
        ID_FQDN,
        ID_USER_FQDN,
        ID_IPV6_ADDR,
    ];
    let mut source = String::from("#include <iscsidsc.h>\n");
    for (name, value) in all {
        writeln!(source, "ISCSIDSC_ASSERT({name} == {value}, \"{name}\");").unwrap();
    }
    each_compiler_takes(&source);
}
