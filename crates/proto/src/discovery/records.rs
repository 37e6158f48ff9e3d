//! The records in an answer to SendTargets (RFC 7143 Appendix C): a TargetName, then its TargetAddresses.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::names::{AddressError, IscsiName, NameError, Portal, TargetAddress};
use crate::text::{Key, Pair, TextError, lookup, pairs, spec};

/// The most targets taken from one answer; large arrays that make each volume a target have tens of
/// thousands.
pub const MAX_TARGETS: usize = 65_536;

/// The most addresses taken from one answer, over all targets.
pub const MAX_ADDRESSES: usize = 4 * MAX_TARGETS;

/// Where the list of oddities stops.
const MAX_UNUSUAL: usize = 64;

/// Why an answer is no sequence of records.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It is no sequence of pairs.
    #[error(transparent)]
    Text(#[from] TextError),
    /// An address that belongs to no target.
    #[error("a TargetAddress comes before any TargetName")]
    AddressBeforeName,
    /// A key that negotiates how the session works: whoever sends it may act on it, and it has no place
    /// in an answer (RFC 7143 Appendix C).
    #[error("the answer holds the operational key {key}")]
    OperationalKey {
        /// The key.
        key: &'static str,
    },
    /// More than [`MAX_TARGETS`].
    #[error("more than {MAX_TARGETS} targets")]
    TooManyTargets,
    /// More than [`MAX_ADDRESSES`].
    #[error("more than {MAX_ADDRESSES} addresses")]
    TooManyAddresses,
}

/// Something odd in an answer that was left out or tolerated; for the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnusualRecord {
    /// A target whose name is no iSCSI name; it was left out.
    #[error("a target was left out: {0}")]
    MalformedName(NameError),
    /// An address that cannot be read; it was left out.
    #[error("an address of {target} was left out: {source}")]
    MalformedAddress {
        /// Whose.
        target: IscsiName,
        /// What is wrong with it.
        source: AddressError,
    },
    /// An address without the portal group tag that must be there.
    #[error("the address {address} of {target} has no portal group tag")]
    MissingTag {
        /// Whose.
        target: IscsiName,
        /// The address.
        address: TargetAddress,
    },
    /// A key that has no place in an answer.
    #[error("the answer holds the key {key}")]
    StrayKey {
        /// The key.
        key: String,
    },
}

/// One target that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveredTarget {
    /// Its name.
    pub name: IscsiName,
    /// Where it says it is, in its order, without repetitions. Empty means: at the portal that was
    /// asked. They are not vetted: some targets list addresses that cannot be reached, such as
    /// link-local ones.
    pub addresses: Vec<TargetAddress>,
}

impl DiscoveredTarget {
    /// The addresses, or `asked`, the portal that gave the answer, when the target named none.
    #[must_use]
    pub fn addresses_or(&self, asked: &Portal) -> Vec<TargetAddress> {
        if self.addresses.is_empty() {
            vec![TargetAddress {
                portal: asked.clone(),
                tag: None,
            }]
        } else {
            self.addresses.clone()
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discovered {
    /// The targets, in the order in which they came, each once.
    pub targets: Vec<DiscoveredTarget>,
    /// What was odd; at most 64.
    pub unusual: Vec<UnusualRecord>,
}

/// Reads the text of a whole answer. A target that is named twice is one target.
///
/// # Errors
/// A [`RecordError`]. A single malformed name or address is no error: it is left out and noted, so
/// that it cannot hide the other targets.
pub fn parse_records(text: &[u8]) -> Result<Discovered, RecordError> {
    let mut reading = Reading::default();
    for pair in pairs(text, MAX_TARGETS + MAX_ADDRESSES)? {
        reading.take(pair)?;
    }
    Ok(reading.found)
}

/// To which record the next address belongs.
#[derive(Debug, Clone, Copy, Default)]
enum Current {
    #[default]
    None,
    /// A record that is left out.
    LeftOut,
    /// The target at this place of the list.
    At(usize),
}

#[derive(Default)]
struct Reading {
    found: Discovered,
    places: BTreeMap<IscsiName, usize>,
    current: Current,
    /// Addresses so far, repetitions included.
    addresses: usize,
    /// Which address each target has already.
    known: BTreeSet<(usize, TargetAddress)>,
}

impl Reading {
    fn take(&mut self, pair: Pair<'_>) -> Result<(), RecordError> {
        match pair.key {
            "TargetName" => self.name(pair.value),
            "TargetAddress" => self.address(pair.value),
            key => self.stray(key),
        }
    }

    /// Aliases and keys that we do not know are harmless.
    fn stray(&mut self, key: &str) -> Result<(), RecordError> {
        if let Some(known) = lookup(key) {
            let spec = spec(known);
            if spec.is_negotiated() || known == Key::MaxRecvDataSegmentLength {
                return Err(RecordError::OperationalKey { key: spec.name });
            }
        }
        let key = key.to_owned();
        self.note(UnusualRecord::StrayKey { key });
        Ok(())
    }

    fn name(&mut self, value: &str) -> Result<(), RecordError> {
        let name = match IscsiName::parse(value) {
            Ok(name) => name,
            Err(error) => {
                self.current = Current::LeftOut;
                self.note(UnusualRecord::MalformedName(error));
                return Ok(());
            }
        };
        if let Some(place) = self.places.get(&name) {
            self.current = Current::At(*place);
            return Ok(());
        }
        let place = self.found.targets.len();
        if place == MAX_TARGETS {
            return Err(RecordError::TooManyTargets);
        }
        self.places.insert(name.clone(), place);
        self.found.targets.push(DiscoveredTarget {
            name,
            addresses: Vec::new(),
        });
        self.current = Current::At(place);
        Ok(())
    }

    fn address(&mut self, value: &str) -> Result<(), RecordError> {
        self.addresses += 1;
        if self.addresses > MAX_ADDRESSES {
            return Err(RecordError::TooManyAddresses);
        }
        let place = match self.current {
            Current::None => return Err(RecordError::AddressBeforeName),
            Current::LeftOut => return Ok(()),
            Current::At(place) => place,
        };
        let Some(target) = self.found.targets.get_mut(place) else {
            return Ok(());
        };
        let name = target.name.clone();
        match value.parse::<TargetAddress>() {
            Ok(address) => {
                let is_tagless = address.tag.is_none();
                if self.known.insert((place, address.clone())) {
                    target.addresses.push(address.clone());
                }
                if is_tagless {
                    self.note(UnusualRecord::MissingTag {
                        target: name,
                        address,
                    });
                }
            }
            Err(source) => self.note(UnusualRecord::MalformedAddress {
                target: name,
                source,
            }),
        }
        Ok(())
    }

    fn note(&mut self, unusual: UnusualRecord) {
        if self.found.unusual.len() < MAX_UNUSUAL {
            self.found.unusual.push(unusual);
        }
    }
}
