//! Tenants on the wire.

use std::collections::BTreeMap;

use huisuan_model::{
    ProjectId,
    tenant::{Limit, TenantChange},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, Schema, SchemaType, Type},
};

use crate::{
    Amount,
    spec::{SpecProblem, quantity},
};

/// All tenants in the order of their names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantList {
    /// The tenants.
    pub tenants: Vec<TenantView>,
}

/// One tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantView {
    /// Its name.
    pub tenant: String,
    /// Twice the weight is due twice the share.
    pub weight: u32,
    /// The most jobs that it may have which have not ended.
    pub jobs_max: u64,
    /// How many it has.
    pub jobs: u64,
    /// The most cores that it may hold at once; `null` without a limit.
    pub quota_cores: Option<f64>,
    /// What it holds.
    pub cores_held: f64,
    /// The most accelerators that it may hold at once; `null` without a limit.
    pub quota_devices: Option<f64>,
    /// What it holds.
    pub devices_held: f64,
    /// The weights of its projects within its share.
    pub projects: BTreeMap<String, u32>,
    /// What it may still spend.
    pub available: Amount,
    /// What is held for what it runs.
    pub held: Amount,
    /// Whether it has a token.
    pub token: bool,
}

/// What an operator sets of a tenant; what is absent stays as it is, or as usual for a new one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantRequest {
    /// Its weight, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// The most jobs that it may have which have not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs_max: Option<u64>,
    /// The most cores that it may hold at once, such as 64 or 0.5; `none` for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = limit)]
    pub quota_cores: Option<Value>,
    /// The same of accelerators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = limit)]
    pub quota_devices: Option<Value>,
    /// Weights of projects, from 1; others stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub projects: BTreeMap<String, u32>,
}

/// A new tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenantRequest {
    /// Its name.
    pub tenant: String,
    /// What is not as usual.
    #[serde(default)]
    pub settings: TenantRequest,
}

/// Money for a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FundRequest {
    /// Millionths of the network's currency; positive.
    pub amount: i64,
}

/// A tenant's new token. It is told once and stored nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantToken {
    /// Whose.
    pub tenant: String,
    /// What it shows to the server.
    pub token: String,
}

fn limit() -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Number, Type::String])).build())
}

impl TenantRequest {
    /// The same in the words of the model.
    ///
    /// # Errors
    /// When a quota is no amount and a project no name.
    pub fn change(&self) -> Result<TenantChange, SpecProblem> {
        let cores = |text: &str| quantity::cores(text).map(|cores| cores.0);
        let devices = |text: &str| quantity::devices(text).map(|devices| devices.0);
        let projects = self.projects.iter().map(|(name, weight)| match ProjectId::new(name) {
            Ok(project) => Ok((project, *weight)),
            Err(error) => Err(SpecProblem::invalid("projects", name, error.to_string())),
        });
        Ok(TenantChange {
            weight: self.weight,
            jobs_max: self.jobs_max,
            quota_cores: read_limit("quota_cores", self.quota_cores.as_ref(), cores)?,
            quota_devices: read_limit("quota_devices", self.quota_devices.as_ref(), devices)?,
            projects: projects.collect::<Result<_, _>>()?,
        })
    }
}

fn read_limit(
    field: &str,
    value: Option<&Value>,
    read: impl Fn(&str) -> Result<u64, quantity::QuantityError>,
) -> Result<Option<Limit>, SpecProblem> {
    let text = match value {
        None => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    if text == "none" {
        return Ok(Some(Limit::None));
    }
    // Nothing at all is a limit, too, though nobody asks for nothing.
    if text == "0" {
        return Ok(Some(Limit::Most(0)));
    }
    let text = text.strip_suffix(".0").unwrap_or(&text);
    let problem = |error: quantity::QuantityError| {
        SpecProblem::invalid(field, error.value, format!("{}, or none", error.expected))
    };
    read(text).map(|amount| Some(Limit::Most(amount))).map_err(problem)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_become_changes() {
        let read = |value: Value| serde_json::from_value::<TenantRequest>(value).expect("a request").change();
        let change = read(json!({"weight": 2, "quota_cores": 1.5, "quota_devices": "none", "projects": {"a": 3}}));
        let change = change.expect("a change");
        assert_eq!((change.weight, change.jobs_max), (Some(2), None));
        assert_eq!((change.quota_cores, change.quota_devices), (Some(Limit::Most(1500)), Some(Limit::None)));
        assert_eq!(change.projects.into_values().collect::<Vec<_>>(), [3]);
        assert_eq!(read(json!({"quota_cores": 0})).expect("a change").quota_cores, Some(Limit::Most(0)));
        for bad in [json!({"quota_cores": "many"}), json!({"quota_devices": true}), json!({"projects": {"a b": 1}})] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
