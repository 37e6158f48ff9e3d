//! Callers' structs: at odd addresses, half filled, wild.

use std::mem::MaybeUninit;
use std::ptr::{dangling_mut, null, null_mut};

use super::*;
use crate::abi::constants::ISCSI_LOGIN_OPTIONS_AUTH_TYPE;
use crate::api::AuthType;

const INVALID: Status = Status::ERROR_INVALID_PARAMETER;

/// Options of zeros.
fn no_options() -> ISCSI_LOGIN_OPTIONS {
    // SAFETY: numbers and raw pointers may be zero.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn read_options(options: &ISCSI_LOGIN_OPTIONS) -> Result<LoginOptions, Status> {
    // SAFETY: every test gives pointers to as many bytes as it says, or with lengths or bits that forbid reading.
    unsafe { login_options(options) }.map(Option::unwrap)
}

/// A portal with this address at an odd address in memory, its symbolic name without a NUL.
fn portal_at_odd_address(address: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff; 1 + size_of::<ISCSI_TARGET_PORTAL<u8>>()];
    bytes[257..513].fill(0);
    bytes[257..257 + address.len()].copy_from_slice(address);
    bytes[513..515].copy_from_slice(&3260_u16.to_ne_bytes());
    bytes
}

#[test]
fn the_symbolic_name_of_a_portal_that_is_looked_for_is_not_read() {
    let bytes = portal_at_odd_address(b"192.0.2.1");
    let odd = bytes
        .as_ptr()
        .wrapping_add(1)
        .cast::<ISCSI_TARGET_PORTAL<u8>>();
    // SAFETY: address and port are filled.
    let found = unsafe { portal_identity(odd) };
    assert_eq!(found, Ok(Some(Portal::new("192.0.2.1", 3260))));
    // SAFETY: all of it is initialised.
    assert_eq!(unsafe { portal(odd) }, Err(INVALID));
}

#[test]
fn a_portal_without_an_address_says_nothing() {
    let bytes = portal_at_odd_address(b"");
    let odd = bytes
        .as_ptr()
        .wrapping_add(1)
        .cast::<ISCSI_TARGET_PORTAL<u8>>();
    // SAFETY: address and port are filled.
    let empty = unsafe { portal(odd) };
    assert_eq!(empty.unwrap().unwrap().address, "");
    // SAFETY: NULL is allowed.
    let null = unsafe { portal(null::<ISCSI_TARGET_PORTAL<u16>>()) };
    assert_eq!(null, Ok(None));
}

#[test]
fn the_portals_of_a_group_stand_back_to_back() {
    let mut bytes = 2_u32.to_ne_bytes().to_vec();
    for address in [b"192.0.2.1", b"192.0.2.2"] {
        let mut one = portal_at_odd_address(address).split_off(1);
        one[..256].fill(0);
        bytes.extend(one);
    }
    let group = bytes.as_ptr().cast::<ISCSI_TARGET_PORTAL_GROUP<u8>>();
    // SAFETY: there are two portals behind the count.
    let group = unsafe { portal_group(group) }.unwrap().unwrap();
    let addresses: Vec<&str> = group.portals.iter().map(|of| &*of.address).collect();
    assert_eq!(addresses, ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn a_wild_count_of_portals_is_refused_before_they_are_read() {
    let count = 257_u32.to_ne_bytes();
    let group = count.as_ptr().cast::<ISCSI_TARGET_PORTAL_GROUP<u16>>();
    // SAFETY: the count is there, and too large for more to be read.
    assert_eq!(unsafe { portal_group(group) }, Err(INVALID));
}

#[test]
fn of_a_mapping_only_numbers_and_luns_are_read() {
    let mut luns = [SCSI_LUN_LIST {
        OSLUN: 3,
        TargetLUN: 0x100,
    }; 2];
    luns[1].OSLUN = 4;
    let mut given = MaybeUninit::<ISCSI_TARGET_MAPPING<u16>>::uninit();
    let place = given.as_mut_ptr();
    // SAFETY: the fields are those of `given`; the rest of it stays uninitialised.
    let read = unsafe {
        (&raw mut (*place).OSBusNumber).write(1);
        (&raw mut (*place).OSTargetNumber).write(2);
        (&raw mut (*place).LUNCount).write(2);
        (&raw mut (*place).LUNList).write(luns.as_mut_ptr());
        mapping(place)
    };
    let read = read.unwrap().unwrap();
    assert_eq!((read.os_bus_number, read.os_target_number), (1, 2));
    let numbers: Vec<_> = read
        .luns
        .iter()
        .map(|lun| (lun.os_lun, lun.target_lun))
        .collect();
    assert_eq!(numbers, [(3, 0x100), (4, 0x100)]);
}

#[test]
fn a_mapping_with_a_wild_count_or_no_list_is_refused() {
    // SAFETY: numbers, texts and raw pointers may be zero.
    let mut given: ISCSI_TARGET_MAPPING<u8> = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: it has no LUNs.
    assert!(unsafe { mapping(&raw const given) }.is_ok());
    given.LUNCount = 1;
    // SAFETY: the list is NULL.
    let without = unsafe { mapping(&raw const given) };
    assert_eq!(without, Err(Status::INVALID_TARGET_MAPPING));
    given.LUNCount = 16_385;
    given.LUNList = dangling_mut();
    // SAFETY: the count is too large for the list to be read.
    let wild = unsafe { mapping(&raw const given) };
    assert_eq!(wild, Err(Status::INVALID_TARGET_MAPPING));
}

#[test]
fn options_without_bits_have_nothing_read_through_their_pointers() {
    let mut given = no_options();
    given.Username = dangling_mut();
    given.UsernameLength = 12;
    given.Password = dangling_mut();
    given.PasswordLength = u32::MAX;
    given.AuthType = 77;
    let read = read_options(&given).unwrap();
    assert_eq!(read, LoginOptions::default());
    // SAFETY: NULL is allowed.
    assert_eq!(unsafe { login_options(null()) }, Ok(None));
}

/// The memory ends behind the flags, so that a look at more is one outside of it.
#[test]
fn of_options_without_bits_only_version_bits_and_flags_are_read() {
    let words: Box<[u32]> = Box::new([0, 0, 0x2]);
    // SAFETY: no bit is set, so the three words are all that is read.
    let read = unsafe { login_options(words.as_ptr().cast()) };
    let expected = LoginOptions {
        login_flags: 0x2,
        ..LoginOptions::default()
    };
    assert_eq!(read, Ok(Some(expected)));
}

#[test]
fn of_options_each_field_is_read_by_its_own_bit() {
    let mut given = MaybeUninit::<ISCSI_LOGIN_OPTIONS>::uninit();
    let place = given.as_mut_ptr();
    // SAFETY: the fields are those of `given`; the rest of it stays uninitialised.
    let read = unsafe {
        (&raw mut (*place).Version).write(0);
        (&raw mut (*place).InformationSpecified).write(ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_WAIT);
        (&raw mut (*place).LoginFlags).write(0);
        (&raw mut (*place).DefaultTime2Wait).write(7);
        login_options(place)
    };
    let expected = LoginOptions {
        default_time2wait: Some(7),
        ..LoginOptions::default()
    };
    assert_eq!(read, Ok(Some(expected)));
}

#[test]
fn another_version_of_the_options_is_refused_unread() {
    let mut given = no_options();
    given.Version = 1;
    given.InformationSpecified = ISCSI_LOGIN_OPTIONS_USERNAME;
    given.Username = dangling_mut();
    given.UsernameLength = 8;
    assert_eq!(read_options(&given), Err(INVALID));
}

#[test]
fn user_name_and_password_are_bytes() {
    let (mut name, mut password) = (*b"us\xc3\xa9r", *b"0123456789ab");
    let mut given = no_options();
    given.InformationSpecified =
        ISCSI_LOGIN_OPTIONS_USERNAME | ISCSI_LOGIN_OPTIONS_PASSWORD | ISCSI_LOGIN_OPTIONS_AUTH_TYPE;
    given.AuthType = 1;
    (given.Username, given.UsernameLength) = (name.as_mut_ptr(), 5);
    (given.Password, given.PasswordLength) = (password.as_mut_ptr(), 12);
    let read = read_options(&given).unwrap();
    assert_eq!(read.auth_type, Some(AuthType::Chap));
    assert_eq!(read.username.as_deref(), Some(&b"us\xc3\xa9r"[..]));
    assert_eq!(read.password.map(|secret| secret.len()), Some(12));
    name[2] = 0;
    given.Username = name.as_mut_ptr();
    assert_eq!(read_options(&given), Err(Status::INVALID_CHAP_USER_NAME));
    name[2] = 0xff;
    given.Username = name.as_mut_ptr();
    let raw = read_options(&given).unwrap().username;
    assert_eq!(raw.as_deref(), Some(&b"us\xff\xa9r"[..]));
}

#[test]
fn wild_lengths_are_refused_by_the_name_of_their_field() {
    let mut given = no_options();
    given.InformationSpecified = ISCSI_LOGIN_OPTIONS_USERNAME;
    (given.Username, given.UsernameLength) = (dangling_mut(), u32::MAX);
    assert_eq!(read_options(&given), Err(Status::INVALID_CHAP_USER_NAME));
    given.InformationSpecified = ISCSI_LOGIN_OPTIONS_PASSWORD;
    (given.Password, given.PasswordLength) = (dangling_mut(), u32::MAX);
    assert_eq!(
        read_options(&given),
        Err(Status::INVALID_TARGET_CHAP_SECRET)
    );
    (given.Password, given.PasswordLength) = (null_mut(), 12);
    assert_eq!(read_options(&given), Err(INVALID));
}

/// `USERNAME` with NULL and 0 asks for the node name (§1.9).
#[test]
fn a_user_name_may_be_empty() {
    let mut given = no_options();
    given.InformationSpecified = ISCSI_LOGIN_OPTIONS_USERNAME;
    assert_eq!(
        read_options(&given).unwrap().username.as_deref(),
        Some(&[][..])
    );
}

#[test]
fn ids_must_be_given() {
    // SAFETY: NULL is allowed.
    let (session, connection) = unsafe { (session_id(null()), connection_id(null())) };
    assert_eq!(session, Err(INVALID));
    assert_eq!(connection, Err(INVALID));
}

#[test]
fn of_an_ike_question_only_the_question_is_read_and_the_answer_leaves_it() {
    let mut address = [192, 0, 2, 1];
    let mut given = MaybeUninit::<IKE_AUTHENTICATION_INFORMATION>::uninit();
    let place = given.as_mut_ptr();
    // SAFETY: the fields are those of `given`; the rest of it stays uninitialised until it is answered.
    let (asked, flags, key, length) = unsafe {
        (&raw mut (*place).AuthMethod).write(1);
        (&raw mut (*place).PsKey.IdType).write(1);
        (&raw mut (*place).PsKey.Id).write(address.as_mut_ptr());
        (&raw mut (*place).PsKey.IdLengthInBytes).write(4);
        let asked = ike_identity(place).unwrap();
        crate::abi::pack::reports::answer_ike(place, 0x23);
        assert_eq!(ike_identity(place).unwrap(), asked);
        let answer = &raw const (*place).PsKey;
        let key = (&raw const (*answer).Key).read();
        let length = (&raw const (*answer).KeyLengthInBytes).read();
        (
            asked,
            (&raw const (*answer).SecurityFlags).read(),
            key,
            length,
        )
    };
    let identity = IkeIdentity {
        id_type: 1,
        id: address.to_vec(),
    };
    assert_eq!(asked, (1, identity));
    assert_eq!((flags, key, length), (0x23, null_mut(), 0));
}
