//! Asks a logical unit who it is, how large it is, and what it can do.

use std::sync::Mutex;

use hawser_block::Geometry;
use hawser_scsi::inquiry::DEVICE_TYPE_DISK;
use hawser_scsi::mode::{ModeParameters, PAGE_CACHING};
use hawser_scsi::vpd::{
    BlockLimits, PAGE_BLOCK_LIMITS, PAGE_DEVICE_ID, PAGE_PROVISIONING, PAGE_SERIAL, PAGE_SUPPORTED,
    Provisioning, decode_device_id, decode_serial, decode_supported_pages,
};
use hawser_scsi::{Capacity, Cdb, DiskIdentity, Inquiry, Lun as LunNumber};

use super::{Limits, LunState, Medium, Standing, Unflushed};
use crate::error::SessionError;
use crate::session::{Shared, Urgent, read_command};

/// Allocation length of INQUIRY: more than any page we read; old units choke on more than a byte's
/// worth for standard data.
const INQUIRY_LENGTH: u16 = 255;
const VPD_LENGTH: u16 = 4096;

/// The most bytes of one command of ours: MaxBurstLength's default offer, and what targets take
/// that name no limit.
const MAX_TRANSFER: u64 = 1024 * 1024;

/// The most blocks of one WRITE SAME or UNMAP of ours, so that a target that really writes them
/// answers in time.
const MAX_ZERO_BLOCKS: u64 = 128 * 1024;

/// Block sizes we serve: what loop devices and NBD can show.
const BLOCK_SIZES: std::ops::RangeInclusive<u32> = 512..=65_536;

pub(super) fn is_disk(inquiry: &Inquiry) -> bool {
    inquiry.peripheral_qualifier == 0 && inquiry.device_type == DEVICE_TYPE_DISK
}

/// Asks everything once.
pub(super) async fn open(shared: &Shared, number: LunNumber) -> Result<LunState, SessionError> {
    let cdb = Cdb::inquiry(INQUIRY_LENGTH);
    let answer = read_command(shared, number, cdb, u32::from(INQUIRY_LENGTH), None).await?;
    let inquiry = Inquiry::decode(&answer).map_err(|error| shared.bad_answer("INQUIRY", error))?;
    let (identity, serial) = match inquiry.peripheral_qualifier {
        0 => identify(shared, number, None).await?,
        _ => (None, None),
    };
    let medium = match is_disk(&inquiry) {
        true => medium(shared, number).await?,
        false => (no_medium(), Limits::default()),
    };
    let (geometry, limits) = medium;
    Ok(LunState {
        target: shared.target.clone(),
        number,
        identity,
        inquiry,
        serial,
        medium: Mutex::new(Medium {
            geometry,
            limits,
            standing: Standing::Known,
            doubts: 0,
        }),
        unflushed: Mutex::new(Unflushed::default()),
    })
}

/// What a unit that is no disk has.
pub(super) fn no_medium() -> Geometry {
    Geometry {
        size: 0,
        block_size: 512,
        physical_block_size: 512,
        optimal_transfer: 0,
        read_only: true,
        can_discard: false,
        can_write_zeroes: false,
        volatile_cache: false,
    }
}

/// Who the unit is (VPD 0x83, 0x80). A page that the unit refuses says nothing; where there is no
/// unit, or a command could not be carried out, that is an error.
pub(crate) async fn identify(
    shared: &Shared,
    number: LunNumber,
    urgent: Option<Urgent>,
) -> Result<(Option<DiskIdentity>, Option<String>), SessionError> {
    let designators = page(shared, number, PAGE_DEVICE_ID, urgent)
        .await?
        .and_then(|page| decode_device_id(&page).ok())
        .unwrap_or_default();
    let serial = page(shared, number, PAGE_SERIAL, urgent).await?;
    let serial = serial.as_deref().and_then(|page| decode_serial(page).ok());
    let identity = DiskIdentity::choose(&designators, serial);
    let printable = |serial: &[u8]| serial.escape_ascii().to_string().trim().to_owned();
    Ok((
        identity,
        serial.map(printable).filter(|serial| !serial.is_empty()),
    ))
}

/// One VPD page; `None` when the unit refuses it. A unit that is only busy, or not there, has not
/// refused it.
async fn page(
    shared: &Shared,
    number: LunNumber,
    page: u8,
    urgent: Option<Urgent>,
) -> Result<Option<Vec<u8>>, SessionError> {
    let cdb = Cdb::inquiry_vpd(page, VPD_LENGTH);
    match read_command(shared, number, cdb, u32::from(VPD_LENGTH), urgent).await {
        Ok(answer) if answer.first().is_some_and(|byte| byte >> 5 != 0) => {
            Err(shared.bad_answer("INQUIRY", "there is no unit at this LUN"))
        }
        Ok(answer) => Ok(Some(answer)),
        Err(SessionError::Scsi(error)) if !error.is_passing() && !error.is_no_unit() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Size, write protection, cache, limits.
pub(super) async fn medium(
    shared: &Shared,
    number: LunNumber,
) -> Result<(Geometry, Limits), SessionError> {
    let capacity = capacity(shared, number, None).await?;
    let mode = mode(shared, number).await?;
    let pages = page(shared, number, PAGE_SUPPORTED, None).await?;
    let pages = pages
        .and_then(|page| decode_supported_pages(&page).ok())
        .unwrap_or_default();
    let mut block_limits = BlockLimits::default();
    if pages.contains(&PAGE_BLOCK_LIMITS)
        && let Some(page) = page(shared, number, PAGE_BLOCK_LIMITS, None).await?
    {
        block_limits = BlockLimits::decode(&page).unwrap_or_default();
    }
    let mut provisioning = Provisioning::default();
    if pages.contains(&PAGE_PROVISIONING)
        && let Some(page) = page(shared, number, PAGE_PROVISIONING, None).await?
    {
        provisioning = Provisioning::decode(&page).unwrap_or_default();
    }
    let limits = limits(&capacity, &block_limits, &provisioning, &mode);
    Ok((
        geometry(shared, &capacity, &block_limits, limits, &mode)?,
        limits,
    ))
}

/// READ CAPACITY (16), else (10).
pub(crate) async fn capacity(
    shared: &Shared,
    number: LunNumber,
    urgent: Option<Urgent>,
) -> Result<Capacity, SessionError> {
    const LENGTH: u32 = 32;
    let bad = |error| shared.bad_answer("READ CAPACITY", error);
    match read_command(
        shared,
        number,
        Cdb::read_capacity_16(LENGTH),
        LENGTH,
        urgent,
    )
    .await
    {
        Ok(answer) => Capacity::decode_16(&answer).map_err(bad),
        Err(SessionError::Scsi(refused)) if !refused.is_passing() => {
            let cdb = Cdb::read_capacity_10();
            let answer = read_command(shared, number, cdb, 8, urgent).await?;
            Capacity::decode_10(&answer)
                .map_err(bad)?
                .ok_or(SessionError::Scsi(refused))
        }
        Err(error) => Err(error),
    }
}

/// MODE SENSE: where it is refused, the unit is taken as writable with a volatile cache, so that
/// flushes are sent.
async fn mode(shared: &Shared, number: LunNumber) -> Result<Mode, SessionError> {
    const LENGTH: u8 = 192;
    let cdb = Cdb::mode_sense_6(true, PAGE_CACHING, 0, LENGTH);
    let parameters = match read_command(shared, number, cdb, u32::from(LENGTH), None).await {
        Ok(answer) => ModeParameters::decode_6(&answer).unwrap_or_default(),
        Err(SessionError::Scsi(_)) => ModeParameters::default(),
        Err(error) => return Err(error),
    };
    let caching = parameters.caching;
    Ok(Mode {
        write_protected: parameters.write_protected,
        fua: parameters.fua_supported,
        volatile_cache: caching.is_none_or(|caching| caching.write_cache_enabled),
    })
}

struct Mode {
    write_protected: bool,
    fua: bool,
    volatile_cache: bool,
}

fn limits(
    capacity: &Capacity,
    block_limits: &BlockLimits,
    provisioning: &Provisioning,
    mode: &Mode,
) -> Limits {
    let block = u64::from(capacity.block_size);
    let transfer = match u64::from(block_limits.max_transfer_blocks) * block {
        0 => MAX_TRANSFER,
        limit => limit.min(MAX_TRANSFER),
    };
    let at_most = |limit: u64| u32::try_from(limit.min(MAX_ZERO_BLOCKS)).unwrap_or(u32::MAX);
    let unmaps = capacity.provisioned_thin && provisioning.unmap;
    // A unit that says how many blocks one WRITE SAME may name has the command; one that says
    // nothing may have it or not, and then zeroes are written as data.
    let write_same = block_limits.max_write_same_blocks;
    Limits {
        transfer: transfer / block * block,
        unmap_blocks: if unmaps {
            at_most(u64::from(block_limits.max_unmap_blocks))
        } else {
            0
        },
        write_same_blocks: at_most(write_same),
        write_same_unmaps: provisioning.write_same_16
            && (provisioning.unmapped_reads_zero || capacity.unmapped_reads_zero),
        fua: mode.fua,
    }
}

fn geometry(
    shared: &Shared,
    capacity: &Capacity,
    block_limits: &BlockLimits,
    limits: Limits,
    mode: &Mode,
) -> Result<Geometry, SessionError> {
    let block_size = capacity.block_size;
    if !block_size.is_power_of_two() || !BLOCK_SIZES.contains(&block_size) {
        let what = format!("a block size of {block_size} bytes, which is not served");
        return Err(shared.bad_answer("READ CAPACITY", what));
    }
    let size = capacity.blocks.checked_mul(u64::from(block_size));
    let size = size.ok_or_else(|| shared.bad_answer("READ CAPACITY", "an impossible size"))?;
    let physical = block_size.checked_shl(u32::from(capacity.physical_exponent));
    Ok(Geometry {
        size,
        block_size,
        physical_block_size: physical.filter(|&p| p >= block_size).unwrap_or(block_size),
        optimal_transfer: block_limits
            .optimal_transfer_blocks
            .saturating_mul(block_size),
        read_only: mode.write_protected,
        can_discard: limits.unmap_blocks > 0,
        can_write_zeroes: limits.write_same_blocks > 0,
        volatile_cache: mode.volatile_cache,
    })
}
