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

/// All keys that are remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Keys(BTreeMap<(TenantId, Arc<str>), (JobId, SpecHash, TimeMs)>);

impl Keys {
    pub(crate) fn get(&self, tenant: &TenantId, key: &Arc<str>) -> Option<(JobId, SpecHash)> {
        self.0.get(&(tenant.clone(), key.clone())).map(|&(job, hash, _)| (job, hash))
    }

    pub(crate) fn insert(&mut self, record: &KeyRecord) {
        let value = (record.job, record.spec_hash, record.at);
        self.0.insert((record.tenant.clone(), record.key.clone()), value);
    }

    pub(crate) fn forget(&mut self, before: TimeMs) {
        self.0.retain(|_, &mut (_, _, at)| at >= before);
    }
}
