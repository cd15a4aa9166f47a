//! Reservations in advance on the wire.

use huisuan_model::{AdvanceReservation, AskedReservation, CentreId, PoolId, TenantId, TimeMs};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, Schema, SchemaType, Type},
};

use crate::{
    Timestamp,
    spec::{SpecProblem, quantity},
};

/// Reservations that were not taken back, by number. One that is over stays until its centre gets another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReservationList {
    /// The reservations; a tenant sees its own.
    pub reservations: Vec<ReservationView>,
}

/// A part of a pool that is kept for the jobs of one tenant that name it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReservationView {
    /// Its number: jobs name it.
    pub reservation: u32,
    /// Whose jobs may name it.
    pub tenant: String,
    /// Where it is.
    pub centre: String,
    /// The pool that it is a part of.
    pub pool: String,
    /// Cores that are kept.
    pub cores: f64,
    /// Cores that its jobs hold now.
    pub cores_held: f64,
    /// Memory that is kept.
    pub memory_bytes: u64,
    /// Accelerators that are kept.
    pub devices: f64,
    /// Accelerators that its jobs hold now.
    pub devices_held: f64,
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// `coming`, `active` or `over`.
    pub state: String,
    /// What for.
    pub note: String,
}

/// The body of a request for a reservation. It becomes a part of one pool: of those that are meant and have it all the
/// time, of the cheapest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReservationRequest {
    /// For whom; an operator's own tenant when absent. A tenant reserves for itself alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only at this centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centre: Option<String>,
    /// Only of pools of this part number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Only of pools of this class: `ai`, `hpc` or `general`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Cores, such as 64 or 0.5; with devices those that belong to them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = amount)]
    pub cores: Option<Value>,
    /// Memory, such as `64GiB`; what belongs to the devices or cores when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Accelerators, such as 8 or 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = amount)]
    pub devices: Option<Value>,
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// What for, for people; one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

fn amount() -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Number, Type::String])).build())
}

impl ReservationRequest {
    /// The same in the words of the model, for `own` when a tenant asks, otherwise for the one that it names or
    /// `local`.
    ///
    /// # Errors
    /// When a name or an amount is none.
    pub fn asked(&self, own: Option<&TenantId>, local: &TenantId) -> Result<AskedReservation, SpecProblem> {
        let named = |field: &'static str, text: &Option<String>| match text {
            Some(name) => {
                TenantId::new(name).map(Some).map_err(|error| SpecProblem::invalid(field, name, error.to_string()))
            }
            None => Ok(None),
        };
        let tenant = named("tenant", &self.tenant)?;
        if let (Some(own), Some(other)) = (own, &tenant)
            && own != other
        {
            return Err(SpecProblem::invalid("tenant", other, format!("`{own}`, whose token was shown, or nothing")));
        }
        let name = |field: &'static str, error: huisuan_model::ids::IdError| {
            SpecProblem::invalid(field, "", error.to_string())
        };
        Ok(AskedReservation {
            tenant: own.or(tenant.as_ref()).unwrap_or(local).clone(),
            centre: self.centre.as_deref().map(CentreId::new).transpose().map_err(|error| name("centre", error))?,
            pool: self.pool.as_deref().map(PoolId::new).transpose().map_err(|error| name("pool", error))?,
            class: match &self.class {
                Some(text) => {
                    Some(text.parse().map_err(|_| SpecProblem::invalid("class", text, "ai, hpc or general"))?)
                }
                None => None,
            },
            cores: read("cores", self.cores.as_ref(), quantity::cores)?,
            memory: read("memory", self.memory.clone().map(Value::String).as_ref(), quantity::bytes)?,
            devices: read("devices", self.devices.as_ref(), quantity::devices)?,
            from: self.from.0,
            until: self.until.0,
            note: self.note.clone(),
            own: own.is_some(),
        })
    }
}

fn read<T>(
    field: &'static str,
    value: Option<&Value>,
    read: fn(&str) -> Result<T, quantity::QuantityError>,
) -> Result<Option<T>, SpecProblem> {
    let text = match value {
        None => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let text = text.strip_suffix(".0").unwrap_or(&text);
    read(text).map(Some).map_err(|error| SpecProblem::invalid(field, error.value, error.expected))
}

impl ReservationView {
    /// A reservation of a centre, of which its jobs hold so many thousandths of cores and devices.
    pub fn new(centre: &CentreId, kept: &AdvanceReservation, held: [u64; 2], now: TimeMs) -> Self {
        let count = |thousandths: u64| thousandths as f64 / 1000.0;
        let state = match () {
            () if kept.until <= now => "over",
            () if kept.from <= now => "active",
            () => "coming",
        };
        ReservationView {
            reservation: kept.id.0,
            tenant: kept.tenant.to_string(),
            centre: centre.to_string(),
            pool: kept.pool.to_string(),
            cores: count(kept.cores.0),
            cores_held: count(held[0]),
            memory_bytes: kept.memory.0,
            devices: count(kept.devices.0),
            devices_held: count(held[1]),
            from: kept.from.into(),
            until: kept.until.into(),
            state: state.to_owned(),
            note: kept.note.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use huisuan_model::{Bytes, MilliDevices, Millicores};
    use serde_json::json;

    use super::*;

    fn asked(own: Option<&str>, change: Value) -> Result<AskedReservation, String> {
        let mut body = json!({"from": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00Z"});
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let request: ReservationRequest = serde_json::from_value(body).map_err(|error| error.to_string())?;
        let tenant = |name: &str| TenantId::new(name).expect("a name");
        request.asked(own.map(tenant).as_ref(), &tenant("local")).map_err(|problem| problem.to_string())
    }

    #[test]
    fn requests_are_read() {
        let plain = asked(None, json!({"cores": 1.5, "memory": "2GiB", "class": "hpc"})).expect("a request");
        assert_eq!((plain.tenant.as_str(), plain.own), ("local", false));
        assert_eq!((plain.cores, plain.memory), (Some(Millicores(1500)), Some(Bytes(2 << 30))));
        let devices = asked(None, json!({"tenant": "lab", "devices": "8", "centre": "a"})).expect("a request");
        assert_eq!((devices.tenant.as_str(), devices.devices), ("lab", Some(MilliDevices(8000))));
        let own = asked(Some("lab"), json!({"cores": 2})).expect("a request");
        assert_eq!((own.tenant.as_str(), own.own), ("lab", true));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |own, change: Value, part: &str| {
            let error = asked(own, change).expect_err("a refusal");
            assert!(error.contains(part), "{error}");
        };
        check(Some("lab"), json!({"tenant": "other", "cores": 1}), "`lab`, whose token was shown");
        check(None, json!({"cores": "many"}), "cores");
        check(None, json!({"class": "cpu"}), "ai, hpc or general");
        check(None, json!({"nodes": 1}), "unknown field");
    }
}
