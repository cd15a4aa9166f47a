//! Tenants on the wire.

use std::collections::BTreeMap;

use huisuan_model::{
    Money, ProjectId,
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
    /// The industry that its use is counted under in reports.
    #[serde(default)]
    pub industry: Option<String>,
    /// What limits its spending beside its money.
    #[serde(default)]
    pub budget: BudgetView,
    /// Whether its account is closed: it submits nothing and gets no money; its bills stay.
    #[serde(default)]
    pub closed: bool,
    /// Whether it may reserve capacity in advance for itself.
    #[serde(default)]
    pub may_reserve: bool,
}

/// What a tenant may spend; every amount in millionths of the network's currency.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct BudgetView {
    /// The most in a calendar month; `null` without a limit.
    pub month: Option<i64>,
    /// The most for an hour of all that runs at once; `null` without a limit.
    pub hour: Option<i64>,
    /// The most in a calendar month by project.
    pub projects: BTreeMap<String, i64>,
    /// What it may owe.
    pub credit: i64,
    /// What was posted in this month, by project.
    pub spent: BTreeMap<String, i64>,
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
    /// The industry that its use is counted under; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub industry: Option<String>,
    /// The most millionths in a calendar month; `none` for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = limit)]
    pub budget_month: Option<Value>,
    /// The most millionths for an hour of all that runs at once; `none` for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = limit)]
    pub budget_hour: Option<Value>,
    /// The most millionths of a project in a calendar month, or `none`; others stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Object>)]
    pub budget_projects: BTreeMap<String, Value>,
    /// The most millionths that it may owe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<i64>,
    /// Whether it may reserve capacity in advance for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_reserve: Option<bool>,
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
        let named = |field: &'static str, name: &str| {
            ProjectId::new(name).map_err(|error| SpecProblem::invalid(field, name, error.to_string()))
        };
        let projects =
            self.projects.iter().map(|(name, weight)| Ok::<_, SpecProblem>((named("projects", name)?, *weight)));
        let budgets = self.budget_projects.iter().map(|(name, amount)| {
            Ok::<_, SpecProblem>((named("budget_projects", name)?, read_money("budget_projects", amount)?))
        });
        let money = |field: &'static str, value: &Option<Value>| {
            value.as_ref().map(|value| read_money(field, value)).transpose()
        };
        Ok(TenantChange {
            weight: self.weight,
            jobs_max: self.jobs_max,
            quota_cores: read_limit("quota_cores", self.quota_cores.as_ref(), cores)?,
            quota_devices: read_limit("quota_devices", self.quota_devices.as_ref(), devices)?,
            projects: projects.collect::<Result<_, SpecProblem>>()?,
            industry: self.industry.clone(),
            budget_month: money("budget_month", &self.budget_month)?,
            budget_hour: money("budget_hour", &self.budget_hour)?,
            budget_projects: budgets.collect::<Result<_, SpecProblem>>()?,
            credit: self.credit.map(Money),
            may_reserve: self.may_reserve,
        })
    }
}

/// Millionths, or `none`.
fn read_money(field: &str, value: &Value) -> Result<Limit, SpecProblem> {
    match value {
        Value::String(text) if text == "none" => Ok(Limit::None),
        Value::Number(number) if number.as_u64().is_some() => Ok(Limit::Most(number.as_u64().unwrap_or(0))),
        other => Err(SpecProblem::invalid(field, other.to_string(), "a whole number of millionths, or none")),
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
        let change = read(json!({"budget_month": 5, "budget_hour": "none", "budget_projects": {"a": 7}, "credit": 9}));
        let change = change.expect("a change");
        assert_eq!((change.budget_month, change.budget_hour), (Some(Limit::Most(5)), Some(Limit::None)));
        assert_eq!((change.credit, change.budget_projects.len()), (Some(Money(9)), 1));
        for bad in [json!({"budget_month": -1}), json!({"budget_hour": 1.5}), json!({"budget_projects": {"a b": 1}})] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
        for bad in [json!({"quota_cores": "many"}), json!({"quota_devices": true}), json!({"projects": {"a b": 1}})] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
