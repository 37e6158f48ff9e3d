//! The rows of the database: read and verified once at open, then changed by whole transactions.
//!
//! The sum in the manifest is the exclusive-or of all rows' checksums. It is carried forward change by
//! change, never counted anew, so that a row that is lost stays missed until the damage is discarded.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row as SqlRow, Transaction, params};

use crate::error::{Damage, StoreError};
use crate::key::{CHECKSUM_LEN, Checksum, Keys};
use crate::record::MAX_BODY_LEN;

/// Kind and key of a row.
pub(crate) type RowKey = (String, String);

/// A verified row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) parent: Option<i64>,
    pub(crate) body: Vec<u8>,
    checksum: Checksum,
}

/// A row that was refused.
#[derive(Debug)]
struct DamagedRow {
    id: i64,
    /// What is in its parent column.
    parent: Option<i64>,
    damage: Damage,
    /// What is in its checksum column, if that has the right length.
    checksum: Option<Checksum>,
}

/// Guards the set of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Manifest {
    /// Counts the transactions.
    changes: u64,
    count: u64,
    sum: Checksum,
}

/// One change of a transaction.
#[derive(Debug)]
pub(crate) enum Write {
    /// Put a row, in place of what has its key.
    Put {
        key: RowKey,
        parent: Option<i64>,
        body: Vec<u8>,
    },
    /// Remove a row, and those whose parent it is.
    Remove { key: RowKey },
}

/// What a transaction does to the database, row by row.
#[derive(Debug, Default)]
struct Plan {
    put: BTreeMap<RowKey, Row>,
    removed: BTreeSet<RowKey>,
    removed_damaged: BTreeSet<i64>,
    manifest: Option<Manifest>,
}

/// All rows.
#[derive(Debug)]
pub(crate) struct Rows {
    path: PathBuf,
    rows: BTreeMap<RowKey, Row>,
    damaged: Vec<DamagedRow>,
    /// `None`: damaged; then it stays as it is until the damage is discarded.
    manifest: Option<Manifest>,
    /// Damage that is no single row's.
    general: Vec<Damage>,
    changes: u64,
    next_id: i64,
}

impl Rows {
    /// Reads and verifies all rows. `mark` is how many changes were acknowledged, if that is known.
    pub(crate) fn read(
        db: &Connection,
        path: &Path,
        keys: &Keys,
        mark: Option<u64>,
    ) -> Result<(Self, Verdict), StoreError> {
        let sqlite = |error| StoreError::sqlite(path, error);
        let mut all = Self {
            path: path.to_owned(),
            rows: BTreeMap::new(),
            damaged: Vec::new(),
            manifest: None,
            general: Vec::new(),
            changes: 0,
            next_id: 1,
        };
        let mut found = db
            .prepare("SELECT id, parent, kind, key, body, checksum FROM records ORDER BY id")
            .map_err(sqlite)?;
        let mut found = found.query([]).map_err(sqlite)?;
        while let Some(row) = found.next().map_err(sqlite)? {
            all.take(row, keys).map_err(sqlite)?;
        }
        let manifest_present = all.read_manifest(db, keys).map_err(sqlite)?;
        let verdict = Verdict {
            anything: manifest_present || !all.rows.is_empty() || !all.damaged.is_empty(),
            verified: all.manifest.is_some() || !all.rows.is_empty(),
        };
        all.judge_manifest(mark);
        Ok((all, verdict))
    }

    /// Takes one row in, among the verified or the damaged.
    fn take(&mut self, row: &SqlRow<'_>, keys: &Keys) -> rusqlite::Result<()> {
        let id: i64 = row.get(0)?;
        let parent = match row.get_ref(1)? {
            ValueRef::Integer(parent) => Some(parent),
            _ => None,
        };
        let (kind, key) = (text_of(row.get_ref(2)?), text_of(row.get_ref(3)?));
        let body = bytes_of(row.get_ref(4)?);
        let checksum = bytes_of(row.get_ref(5)?).try_into().ok();
        let reason = if checksum != Some(checksum_of(keys, id, parent, (&kind, &key), &body)) {
            "its checksum is wrong"
        } else if body.len() > MAX_BODY_LEN {
            "it is too large"
        } else if self.rows.contains_key(&(kind.clone(), key.clone())) {
            "it is there twice"
        } else {
            ""
        };
        match checksum {
            Some(checksum) if reason.is_empty() => {
                self.next_id = self.next_id.max(id.saturating_add(1));
                self.rows.insert(
                    (kind, key),
                    Row {
                        id,
                        parent,
                        body,
                        checksum,
                    },
                );
            }
            _ => {
                let damage = Damage::new(&kind, &key, reason);
                self.damaged.push(DamagedRow {
                    id,
                    parent,
                    damage,
                    checksum,
                });
            }
        }
        Ok(())
    }

    /// Reads the manifest; says whether there is one at all.
    fn read_manifest(&mut self, db: &Connection, keys: &Keys) -> rusqlite::Result<bool> {
        let mut found = db.prepare("SELECT changes, count, sum, checksum FROM manifest")?;
        let mut found = found.query([])?;
        let Some(row) = found.next()? else {
            return Ok(false);
        };
        let number = |value: ValueRef<'_>| value.as_i64().ok().and_then(|n| u64::try_from(n).ok());
        let changes = number(row.get_ref(0)?);
        let count = number(row.get_ref(1)?);
        let sum = bytes_of(row.get_ref(2)?).try_into().ok();
        let checksum: Option<Checksum> = bytes_of(row.get_ref(3)?).try_into().ok();
        if let (Some(changes), Some(count), Some(sum)) = (changes, count, sum) {
            let manifest = Manifest {
                changes,
                count,
                sum,
            };
            if checksum == Some(manifest.checksum(keys)) {
                self.manifest = Some(manifest);
            }
        }
        Ok(true)
    }

    /// Compares what is there with the manifest and the mark.
    fn judge_manifest(&mut self, mark: Option<u64>) {
        let Some(manifest) = self.manifest else {
            let reason = "its manifest is damaged: it cannot be told whether records are missing";
            self.general.push(Damage::of_store(reason));
            self.changes = mark.unwrap_or(0);
            return;
        };
        let present = (self.rows.len() + self.damaged.len()) as u64;
        if present < manifest.count {
            let reason = format!(
                "{} of {} records are missing",
                manifest.count - present,
                manifest.count
            );
            self.general.push(Damage::of_store(reason));
        } else if present > manifest.count
            || (self.damaged.is_empty() && self.sum() != manifest.sum)
        {
            let reason = "its records are not those that were stored last";
            self.general.push(Damage::of_store(reason));
        }
        let behind = mark.unwrap_or(0).saturating_sub(manifest.changes);
        if behind > 0 {
            let reason =
                format!("the last {behind} changes are missing: it is older than it should be");
            self.general.push(Damage::of_store(reason));
        }
        self.changes = manifest.changes + behind;
    }

    /// Exclusive-or of the checksums of all rows.
    fn sum(&self) -> Checksum {
        let good = self.rows.values().map(|row| row.checksum);
        let damaged = self.damaged.iter().filter_map(|row| row.checksum);
        good.chain(damaged).fold([0; CHECKSUM_LEN], combined)
    }

    /// A verified row.
    pub(crate) fn get(&self, key: &RowKey) -> Option<&Row> {
        self.rows.get(key)
    }

    /// Number of verified rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The verified rows of a kind in the order of their adding: key and row.
    pub(crate) fn of_kind(&self, kind: &str) -> Vec<(&str, &Row)> {
        let mut found: Vec<_> = self
            .rows
            .range((kind.to_owned(), String::new())..)
            .take_while(|((other, _), _)| other == kind)
            .map(|((_, key), row)| (key.as_str(), row))
            .collect();
        found.sort_by_key(|(_, row)| row.id);
        found
    }

    /// The damage of a record, if it is damaged and no good one has taken its place.
    pub(crate) fn damage_of(&self, (kind, key): &RowKey) -> Option<&Damage> {
        let damages = self.damaged.iter().map(|row| &row.damage);
        damages
            .into_iter()
            .find(|damage| damage.kind == *kind && damage.key == *key)
    }

    /// All damage.
    pub(crate) fn damages(&self) -> Vec<Damage> {
        let rows = self.damaged.iter().map(|row| &row.damage);
        self.general.iter().chain(rows).cloned().collect()
    }

    /// Number of changes so far.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Carries the writes out, all or none; when this returns they are durable.
    pub(crate) fn commit(
        &mut self,
        db: &mut Connection,
        keys: &Keys,
        writes: Vec<Write>,
    ) -> Result<(), StoreError> {
        let plan = self.plan(keys, writes);
        self.carry_out(db, keys, plan)
    }

    /// Carries a plan out in the database and then in memory.
    fn carry_out(
        &mut self,
        db: &mut Connection,
        keys: &Keys,
        plan: Plan,
    ) -> Result<(), StoreError> {
        let done = (|| {
            let transaction = db.transaction()?;
            plan.carry_out(&transaction, keys)?;
            transaction.commit()
        })();
        done.map_err(|error| StoreError::sqlite(&self.path, error))?;
        self.apply(plan);
        Ok(())
    }

    /// What the writes come to.
    fn plan(&self, keys: &Keys, writes: Vec<Write>) -> Plan {
        let mut plan = Plan {
            manifest: self.manifest,
            ..Plan::default()
        };
        let mut gone = BTreeSet::new();
        let mut next_id = self.free_id(self.next_id);
        for write in writes {
            match write {
                Write::Put { key, parent, body } => {
                    self.plan_removal_of_damaged(&key, &mut plan, &mut gone);
                    let present = self.rows.get(&key);
                    let id = present.map_or(next_id, |row| row.id);
                    if let Some(row) = present {
                        plan.count(-1, row.checksum);
                    } else {
                        next_id = self.free_id(next_id + 1);
                    }
                    let checksum = checksum_of(keys, id, parent, (&key.0, &key.1), &body);
                    plan.count(1, checksum);
                    plan.put.insert(
                        key,
                        Row {
                            id,
                            parent,
                            body,
                            checksum,
                        },
                    );
                }
                Write::Remove { key } => {
                    self.plan_removal_of_damaged(&key, &mut plan, &mut gone);
                    if let Some(row) = self.rows.get(&key) {
                        plan.remove(&key, row);
                        gone.insert(row.id);
                    }
                }
            }
        }
        self.plan_removal_of_children(&gone, &mut plan);
        if let Some(manifest) = &mut plan.manifest {
            manifest.changes = self.changes + 1;
        }
        plan
    }

    /// The first id from `id` on that no damaged row has; good rows have smaller ones than `next_id`.
    fn free_id(&self, mut id: i64) -> i64 {
        while self.damaged.iter().any(|row| row.id == id) {
            id += 1;
        }
        id
    }

    /// Takes the damaged rows that have this key out, and adds their ids to `gone`.
    fn plan_removal_of_damaged(&self, key: &RowKey, plan: &mut Plan, gone: &mut BTreeSet<i64>) {
        for row in &self.damaged {
            if row.damage.kind == key.0 && row.damage.key == key.1 {
                plan.remove_damaged(row);
                gone.insert(row.id);
            }
        }
    }

    /// Takes out what the database removes of itself with the rows `gone`, whose children they are.
    fn plan_removal_of_children(&self, gone: &BTreeSet<i64>, plan: &mut Plan) {
        let orphaned = |parent: Option<i64>| parent.is_some_and(|parent| gone.contains(&parent));
        for (key, row) in self.rows.iter().filter(|(_, row)| orphaned(row.parent)) {
            plan.remove(key, row);
        }
        for row in self.damaged.iter().filter(|row| orphaned(row.parent)) {
            plan.remove_damaged(row);
        }
    }

    /// Follows in memory what was done in the database.
    fn apply(&mut self, plan: Plan) {
        for key in &plan.removed {
            self.rows.remove(key);
        }
        self.damaged
            .retain(|row| !plan.removed_damaged.contains(&row.id));
        for row in plan.put.values() {
            self.next_id = self.next_id.max(row.id + 1);
        }
        self.rows.extend(plan.put);
        self.manifest = plan.manifest;
        self.changes += 1;
    }

    /// Removes the damaged rows and what goes with them, and counts the rest anew, after which nothing is
    /// missing by definition. Gives what was damaged.
    pub(crate) fn discard_damaged(
        &mut self,
        db: &mut Connection,
        keys: &Keys,
    ) -> Result<Vec<Damage>, StoreError> {
        let damages = self.damages();
        let count = (self.rows.len() + self.damaged.len()) as u64;
        let counted = Manifest {
            changes: self.changes + 1,
            count,
            sum: self.sum(),
        };
        let mut plan = Plan {
            manifest: Some(counted),
            ..Plan::default()
        };
        for row in &self.damaged {
            plan.remove_damaged(row);
        }
        let gone = self.damaged.iter().map(|row| row.id).collect();
        self.plan_removal_of_children(&gone, &mut plan);
        self.carry_out(db, keys, plan)?;
        self.general.clear();
        Ok(damages)
    }
}

/// Whether the key fits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    /// There is something to verify.
    pub(crate) anything: bool,
    /// Something was verified.
    pub(crate) verified: bool,
}

impl Plan {
    /// Counts a row in (`1`) or out (`-1`).
    fn count(&mut self, by: i64, checksum: Checksum) {
        if let Some(manifest) = &mut self.manifest {
            manifest.count = manifest.count.saturating_add_signed(by);
            manifest.sum = combined(manifest.sum, checksum);
        }
    }

    /// Takes a row out, once.
    fn remove(&mut self, key: &RowKey, row: &Row) {
        if self.removed.insert(key.clone()) {
            self.count(-1, row.checksum);
        }
    }

    /// Takes a damaged row out, once.
    fn remove_damaged(&mut self, row: &DamagedRow) {
        if self.removed_damaged.insert(row.id) {
            self.count(-1, row.checksum.unwrap_or_default());
        }
    }

    fn carry_out(&self, db: &Transaction<'_>, keys: &Keys) -> rusqlite::Result<()> {
        let mut remove = db.prepare_cached("DELETE FROM records WHERE kind = ?1 AND key = ?2")?;
        for (kind, key) in &self.removed {
            remove.execute(params![kind, key])?;
        }
        let mut remove_damaged = db.prepare_cached("DELETE FROM records WHERE id = ?1")?;
        for id in &self.removed_damaged {
            remove_damaged.execute(params![id])?;
        }
        let mut put = db.prepare_cached(
            "INSERT INTO records (id, parent, kind, key, body, checksum) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE \
             SET parent = ?2, kind = ?3, key = ?4, body = ?5, checksum = ?6",
        )?;
        for ((kind, key), row) in &self.put {
            put.execute(params![
                row.id,
                row.parent,
                kind,
                key,
                row.body,
                row.checksum
            ])?;
        }
        match self.manifest {
            Some(manifest) => manifest.write(db, keys),
            None => Ok(()),
        }
    }
}

impl Manifest {
    fn checksum(&self, keys: &Keys) -> Checksum {
        let (changes, count) = (self.changes.to_be_bytes(), self.count.to_be_bytes());
        keys.checksum(&[b"manifest", &changes, &count, &self.sum])
    }

    fn write(&self, db: &Connection, keys: &Keys) -> rusqlite::Result<()> {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        db.execute(
            "INSERT OR REPLACE INTO manifest (id, changes, count, sum, checksum) \
             VALUES (1, ?1, ?2, ?3, ?4)",
            params![
                number(self.changes),
                number(self.count),
                self.sum,
                self.checksum(keys)
            ],
        )
        .map(drop)
    }
}

/// Writes the manifest of an empty store.
pub(crate) fn write_first_manifest(db: &Connection, keys: &Keys) -> rusqlite::Result<()> {
    Manifest {
        changes: 0,
        count: 0,
        sum: [0; CHECKSUM_LEN],
    }
    .write(db, keys)
}

/// Exclusive-or of two checksums.
fn combined(mut sum: Checksum, checksum: Checksum) -> Checksum {
    sum.iter_mut()
        .zip(checksum)
        .for_each(|(into, from)| *into ^= from);
    sum
}

/// The checksum that a row must have. The id is part of it, so that no row can stand for another.
fn checksum_of(
    keys: &Keys,
    id: i64,
    parent: Option<i64>,
    (kind, key): (&str, &str),
    body: &[u8],
) -> Checksum {
    // Ids start at 1: 0 is free to say "none".
    let parent = parent.unwrap_or(0).to_be_bytes();
    keys.checksum(&[
        b"record",
        &id.to_be_bytes(),
        &parent,
        kind.as_bytes(),
        key.as_bytes(),
        body,
    ])
}

/// A column's bytes, whatever damage has made of its type; numbers have none.
fn bytes_of(value: ValueRef<'_>) -> Vec<u8> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    }
}

/// A column's text, as far as it is one.
fn text_of(value: ValueRef<'_>) -> String {
    String::from_utf8_lossy(&bytes_of(value)).into_owned()
}
