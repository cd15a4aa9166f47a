//! Which local user of the site runs a tenant's jobs: an allow-list of the operator. Without one all jobs run as the
//! agent's own user; with one, whoever is not in it is refused.
//!
//! The agent becomes nobody: it asks `sudo` to call four of Slurm's programs as one of these users, and shares a group
//! with each of them, through which both reach the folders of that user's attempts, see [`super::share`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    process::Command,
    sync::Arc,
};

use huisuan_model::{ProjectId, StartOrder, TenantId};
use serde::{Deserialize, de::Error as _};

use super::config::is_word;

/// Of whom an entry of the list speaks: a tenant, or one of its projects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whose {
    tenant: TenantId,
    project: Option<ProjectId>,
}

/// A local user by name, and the group that it shares with the agent: its own first one when absent. In the file
/// `USER` or `USER:GROUP`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalUser {
    name: String,
    group: Option<String>,
}

/// A local user, as the system knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    /// The group that it shares with the agent.
    pub(super) group: u32,
}

/// The list. As [`Users::default`] all jobs run as the agent's own user.
#[derive(Debug, Default)]
pub(super) struct Users(Option<BTreeMap<Whose, Arc<User>>>);

/// What `id` says of a user.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    uid: u32,
    group: u32,
    groups: BTreeSet<u32>,
}

impl Whose {
    pub(super) fn tenant(&self) -> &TenantId {
        &self.tenant
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.project {
            None => write!(f, "{}", self.tenant),
            Some(project) => write!(f, "{}/{project}", self.tenant),
        }
    }
}

impl<'de> Deserialize<'de> for Whose {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (tenant, project) =
            text.split_once('/').map_or((&*text, None), |(tenant, project)| (tenant, Some(project)));
        let tenant = TenantId::new(tenant).map_err(D::Error::custom)?;
        let project = project.map(ProjectId::new).transpose().map_err(D::Error::custom)?;
        Ok(Whose { tenant, project })
    }
}

impl<'de> Deserialize<'de> for LocalUser {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (name, group) = text.split_once(':').map_or((&*text, None), |(name, group)| (name, Some(group)));
        for word in std::iter::once(name).chain(group) {
            // `#0` and `+0` are numbers to some programs, and names of digits to all.
            if !is_word(word) || word.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(D::Error::custom(format!("`{text}` is not USER or USER:GROUP")));
            }
        }
        if name == "root" {
            return Err(D::Error::custom("`root` runs nobody's jobs"));
        }
        Ok(LocalUser { name: name.to_owned(), group: group.map(str::to_owned) })
    }
}

impl Users {
    /// Looks the list's users up. The error is a sentence for people.
    pub(super) fn look_up(list: Option<&BTreeMap<Whose, LocalUser>>) -> Result<Users, String> {
        let Some(list) = list else { return Ok(Users::default()) };
        let mut known: BTreeMap<&LocalUser, (Arc<User>, Identity)> = BTreeMap::new();
        for local in list.values() {
            if !known.contains_key(local) {
                let identity = identity(&local.name)?;
                let user = local.as_known(&identity)?;
                known.insert(local, (Arc::new(user), identity));
            }
        }
        let people: Vec<_> = known.values().map(|(user, identity)| (&**user, identity)).collect();
        check_apart(&people)?;
        Ok(Users(Some(list.iter().map(|(whose, local)| (whose.clone(), Arc::clone(&known[local].0))).collect())))
    }

    /// Whether jobs run as others than the agent.
    pub(super) fn some(&self) -> bool {
        self.0.is_some()
    }

    /// Who runs an attempt; `None` is the agent's own user. The error is a sentence for people: nobody may.
    pub(super) fn of(&self, order: &StartOrder) -> Result<Option<Arc<User>>, String> {
        let Some(list) = &self.0 else { return Ok(None) };
        let whose = |project| Whose { tenant: order.tenant.clone(), project };
        let found = list.get(&whose(Some(order.project.clone()))).or_else(|| list.get(&whose(None)));
        found.map(|user| Some(Arc::clone(user))).ok_or_else(|| {
            let (tenant, project) = (&order.tenant, &order.project);
            format!("`[users]` of this centre names no local user for tenant `{tenant}`, project `{project}`")
        })
    }

    /// The entries of the list.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Whose, &User)> {
        self.0.iter().flatten().map(|(whose, user)| (whose, &**user))
    }

    /// The users of the list, each once, by their numbers.
    pub(super) fn all(&self) -> BTreeMap<u32, Arc<User>> {
        self.0.iter().flat_map(BTreeMap::values).map(|user| (user.uid, Arc::clone(user))).collect()
    }

    /// Who a user is by its number; the inner `None` is the agent's own user, the outer one a stranger.
    pub(super) fn by_uid(&self, uid: u32) -> Option<Option<Arc<User>>> {
        match self.0.iter().flat_map(BTreeMap::values).find(|user| user.uid == uid) {
            Some(user) => Some(Some(Arc::clone(user))),
            None => (uid == own_uid()).then_some(None),
        }
    }

    /// Whether a job of this user may be an attempt's: nobody else's counts, whatever it is called.
    pub(super) fn is_of(&self, order: &StartOrder, uid: u32) -> bool {
        self.of(order).is_ok_and(|user| user.map_or_else(own_uid, |user| user.uid) == uid)
    }

    /// Whose jobs Slurm is asked for: `0,1001,1002`.
    pub(super) fn asked(&self) -> String {
        let uids: BTreeSet<u32> = self.all().into_keys().chain([own_uid()]).collect();
        uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
    }
}

/// What the agent's own user is called. The error is a sentence for people.
pub(super) fn own_name() -> Result<String, String> {
    said("id", &["--user", "--name"])
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

impl LocalUser {
    fn as_known(&self, identity: &Identity) -> Result<User, String> {
        let name = &self.name;
        if identity.uid == 0 {
            return Err(format!("user `{name}` is root by another name"));
        }
        if identity.uid == own_uid() {
            return Err(format!("user `{name}` is the agent's own; hint: without `[users]` all jobs run as it"));
        }
        let group = match &self.group {
            None => identity.group,
            Some(group) => group_number(group)?,
        };
        if !identity.groups.contains(&group) {
            return Err(format!("user `{name}` is not in the group that it is to share with the agent"));
        }
        let own = || rustix::process::getgroups().is_ok_and(|own| own.iter().any(|own| own.as_raw() == group));
        if own_uid() != 0 && rustix::process::getegid().as_raw() != group && !own() {
            let hint = "hint: make it a member, then start the agent anew";
            return Err(format!("this agent is not in group {group}, which user `{name}` is to share with it; {hint}"));
        }
        Ok(User { name: name.clone(), uid: identity.uid, group })
    }
}

/// That none of them is in a group of another one.
fn check_apart(people: &[(&User, &Identity)]) -> Result<(), String> {
    for (user, _) in people {
        let other =
            people.iter().find(|(other, identity)| other.uid != user.uid && identity.groups.contains(&user.group));
        if let Some((other, _)) = other {
            let (name, other, group) = (&user.name, &other.name, user.group);
            let hint = "hint: give each a group of its own with the agent, as `USER:GROUP`";
            return Err(format!(
                "user `{other}` could read what user `{name}` runs, for both are in group {group}; {hint}"
            ));
        }
    }
    Ok(())
}

fn identity(name: &str) -> Result<Identity, String> {
    let text = said("id", &["--", name])?;
    read_identity(&text).ok_or_else(|| format!("`id {name}` says what is not understood"))
}

/// `uid=1001(a) gid=1001(a) groups=1001(a),1007(b c)`
fn read_identity(text: &str) -> Option<Identity> {
    let number = |text: &str| text.split('(').next()?.trim().parse::<u32>().ok();
    let after = |name: &str| number(text.split_once(name)?.1.split(' ').next()?);
    let groups = text.split_once(" groups=")?.1.split(',').map(number).collect::<Option<_>>()?;
    Some(Identity { uid: after("uid=")?, group: after(" gid=")?, groups })
}

/// `NAME:x:1007:a,b`
fn group_number(name: &str) -> Result<u32, String> {
    let text = said("getent", &["group", name])?;
    let number = text.split(':').nth(2).and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("group `{name}` is not known here"))
}

fn said(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let output = output.map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(format!("`{program} {}` finds nobody", arguments.join(" "))),
    }
}

#[cfg(test)]
pub(super) fn pretended(list: &[(&str, &str, u32)]) -> Users {
    let whose = |text: &str| serde_json::from_value::<Whose>(text.into()).expect("a tenant");
    let user = |name: &str, uid| Arc::new(User { name: name.to_owned(), uid, group: uid });
    Users(Some(list.iter().map(|(text, name, uid)| (whose(text), user(name, *uid))).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slurm::journal::order;

    #[test]
    fn the_narrower_entry_counts_and_strangers_are_refused() {
        let users = pretended(&[("t", "anna", 1001), ("t/p", "bert", 1002), ("u/p", "carl", 1003)]);
        let check = |tenant: &str, project: &str, expected: Option<&str>| {
            let (tenant, project) = (TenantId::new(tenant).expect("a name"), ProjectId::new(project).expect("a name"));
            let order = StartOrder { tenant, project, ..order(1) };
            let found = users.of(&order);
            assert_eq!(found.as_ref().ok().map(|user| &*user.as_ref().expect("not the agent").name), expected);
            if let Err(why) = found {
                assert!(why.contains(&format!("`{}`", order.tenant)), "{why}");
                assert!(!users.is_of(&order, own_uid()), "never the agent itself");
            }
        };
        check("t", "p", Some("bert"));
        check("t", "q", Some("anna"));
        check("u", "p", Some("carl"));
        check("u", "q", None);
        check("v", "p", None);
        assert_eq!(users.by_uid(1002).flatten().map(|user| user.uid), Some(1002));
        assert_eq!((users.by_uid(own_uid()), users.by_uid(1009)), (Some(None), None));
        assert!(users.asked().ends_with("1001,1002,1003"), "{}", users.asked());
        assert_eq!(Users::default().of(&order(1)), Ok(None));
        assert!(pretended(&[]).of(&order(1)).is_err(), "an empty list lets nobody in");
    }

    #[test]
    fn identities_are_read_and_groups_in_common_refused() {
        let text = "uid=1001(anna) gid=1001(anna) groups=1001(anna),27(sudo),1007(domain users)";
        let identity = read_identity(text).expect("understood");
        assert_eq!((identity.uid, identity.group, identity.groups.len()), (1001, 1001, 3));
        let nameless = read_identity("uid=5 gid=6 groups=6,7").expect("numbers without names");
        assert_eq!((nameless.uid, nameless.groups), (5, BTreeSet::from([6, 7])));
        assert_eq!(read_identity("uid=x(y)"), None);
        let user = |uid, group| User { name: format!("u{uid}"), uid, group };
        let in_groups = |groups: &[u32]| Identity { uid: 0, group: 0, groups: groups.iter().copied().collect() };
        let (anna, bert) = (user(1, 10), user(2, 20));
        assert_eq!(check_apart(&[(&anna, &in_groups(&[10, 5])), (&bert, &in_groups(&[20, 5]))]), Ok(()));
        let why = check_apart(&[(&anna, &in_groups(&[10])), (&bert, &in_groups(&[20, 10]))]).expect_err("in common");
        assert!(why.contains("`u2`") && why.contains("group 10"), "{why}");
    }

    #[test]
    fn root_the_own_user_and_strangers_are_never_looked_up_as_others() {
        let check = |entry: &str, expected: Result<(), &str>| {
            let list = serde_json::from_str::<BTreeMap<Whose, LocalUser>>(&format!("{{\"t\": \"{entry}\"}}"));
            let users = list.map_err(|error| error.to_string()).and_then(|list| Users::look_up(Some(&list)).map(drop));
            match (users, expected) {
                (Ok(()), Ok(())) => {}
                (Err(why), Err(part)) => assert!(why.contains(part), "`{why}` does not say `{part}`"),
                (users, expected) => panic!("{entry}: {users:?}, expected {expected:?}"),
            }
        };
        check("root", Err("nobody's"));
        for bad in ["-u", "#0", "0", "a b", "a,b", "", "a:", "a:-g", "a:0", "a:b:c"] {
            check(bad, Err("USER"));
        }
        check("no-such-user-here", Err("finds nobody"));
        let own = said("id", &["-un"]).expect("it has a name");
        check(&own, Err(if own == "root" { "nobody's" } else { "own" }));
        if own_uid() == 0 {
            check("daemon", Ok(()));
            check("daemon:no-such-group-here", Err("finds nobody"));
            check("daemon:root", Err("not in the group"));
        }
    }
}
