//! Idempotency keys: which job a key of a tenant led to.

use std::{collections::BTreeMap, sync::Arc};

use huisuan_model::{JobId, SpecHash, TenantId, TimeMs};

/// One key that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Whose.
    pub tenant: TenantId,
    /// The key.
    pub key: Arc<str>,
    /// The job that it led to.
    pub job: JobId,
    /// The spec that it came with.
    pub spec_hash: SpecHash,
    /// When.
    pub at: TimeMs,
}

/// All keys that are remembered, by tenant: a search compares keys alone and copies nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Keys(BTreeMap<TenantId, KeysOfTenant>);

type KeysOfTenant = BTreeMap<Arc<str>, (JobId, SpecHash, TimeMs)>;

impl Keys {
    pub(crate) fn get(&self, tenant: &TenantId, key: &str) -> Option<(JobId, SpecHash)> {
        self.0.get(tenant)?.get(key).map(|&(job, hash, _)| (job, hash))
    }

    pub(crate) fn insert(&mut self, record: &KeyRecord) {
        let value = (record.job, record.spec_hash, record.at);
        match self.0.get_mut(&record.tenant) {
            Some(keys) => keys.insert(record.key.clone(), value),
            None => self.0.entry(record.tenant.clone()).or_default().insert(record.key.clone(), value),
        };
    }

    pub(crate) fn forget(&mut self, before: TimeMs) {
        self.0.retain(|_, keys| {
            keys.retain(|_, &mut (_, _, at)| at >= before);
            !keys.is_empty()
        });
    }
}
