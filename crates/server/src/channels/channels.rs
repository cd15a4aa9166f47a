//! All channels that are open.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use huisuan_api::channels::ChannelView;
use huisuan_model::{ActorId, AttemptId, CentreId, ChannelTarget, JobId, TenantId, TimeMs, channel::Frame, hex};
use tokio::sync::watch;

use super::pipe::Pipe;
use crate::secrets;

/// The most channels of one tenant: a browser opens a handful for each page of a notebook.
const TENANT_CHANNELS_MAX: usize = 64;
/// The most channels of all: with what waits in both directions of each, 256 MiB.
const CHANNELS_MAX: usize = 512;

/// Who uses a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Whoever attached.
    User,
    /// The agent of the session's centre.
    Agent,
}

/// One channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) number: u64,
    pub(crate) attempt: AttemptId,
    pub(crate) centre: CentreId,
    pub(crate) tenant: TenantId,
    pub(crate) target: ChannelTarget,
    actor: ActorId,
    opened_at: TimeMs,
    user_secret: String,
    agent_secret: String,
    /// Into the session.
    pub(crate) inward: Pipe,
    /// Out of it.
    pub(crate) outward: Pipe,
    /// Which sides have asked for their stream.
    here: watch::Sender<(bool, bool)>,
    closed: watch::Sender<bool>,
}

/// The register of channels.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    channels: BTreeMap<u64, Arc<Channel>>,
}

/// What a channel is to be.
pub(crate) struct Wanted {
    pub(crate) attempt: AttemptId,
    pub(crate) centre: CentreId,
    pub(crate) tenant: TenantId,
    pub(crate) actor: ActorId,
    pub(crate) target: ChannelTarget,
    pub(crate) now: TimeMs,
}

impl Channels {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new channel; `None` when there are too many already.
    pub(crate) fn add(&self, wanted: Wanted) -> std::io::Result<Option<Arc<Channel>>> {
        let (user_secret, agent_secret) = (secret()?, secret()?);
        let Wanted { attempt, centre, tenant, actor, target, now } = wanted;
        let mut open = self.open();
        let own = open.channels.values().filter(|channel| channel.tenant == tenant).count();
        if own >= TENANT_CHANNELS_MAX || open.channels.len() >= CHANNELS_MAX {
            return Ok(None);
        }
        open.last += 1;
        let channel = Arc::new(Channel {
            number: open.last,
            attempt,
            centre,
            tenant,
            target,
            actor,
            opened_at: now,
            user_secret,
            agent_secret,
            inward: Pipe::new(),
            outward: Pipe::new(),
            here: watch::Sender::new((false, false)),
            closed: watch::Sender::new(false),
        });
        open.channels.insert(channel.number, Arc::clone(&channel));
        Ok(Some(channel))
    }

    /// The channel of this number, for who knows the secret of this side of it.
    pub(crate) fn find(&self, number: u64, side: Side, shown: &str) -> Option<Arc<Channel>> {
        let channel = self.open().channels.get(&number).cloned()?;
        secrets::equal(shown, channel.secret(side)).then_some(channel)
    }

    /// Forgets a channel that is closed.
    pub(crate) fn remove(&self, channel: &Channel) {
        channel.close();
        self.open().channels.remove(&channel.number);
    }

    /// Who is attached to a job's session now, the oldest first.
    pub(crate) fn of_job(&self, job: JobId) -> Vec<ChannelView> {
        let view = |channel: &Arc<Channel>| ChannelView {
            target: channel.target.to_string(),
            actor: channel.actor.to_string(),
            opened_at: channel.opened_at.into(),
        };
        let open = self.open();
        let live = |channel: &&Arc<Channel>| channel.attempt.job == job && !*channel.closed.borrow();
        open.channels.values().filter(live).map(view).collect()
    }
}

impl Channel {
    /// What this side shows.
    pub(crate) fn secret(&self, side: Side) -> &str {
        match side {
            Side::User => &self.user_secret,
            Side::Agent => &self.agent_secret,
        }
    }

    /// The direction that this side brings bytes to.
    pub(crate) fn to(&self, side: Side) -> &Pipe {
        match side {
            Side::User => &self.inward,
            Side::Agent => &self.outward,
        }
    }

    /// The direction that this side reads from.
    pub(crate) fn from(&self, side: Side) -> &Pipe {
        match side {
            Side::User => &self.outward,
            Side::Agent => &self.inward,
        }
    }

    /// Ends it: nothing more goes in, and what is in it can still be read. It does no harm twice.
    pub(crate) fn close(&self) {
        self.inward.close();
        self.outward.close();
        self.closed.send_replace(true);
    }

    /// This side has its stream.
    pub(crate) fn arrived(&self, side: Side) {
        self.here.send_modify(|(user, agent)| match side {
            Side::User => *user = true,
            Side::Agent => *agent = true,
        });
    }

    /// Returns when both sides have their streams.
    pub(crate) async fn complete(&self) {
        // It cannot fail: the channel has the sender.
        let _ = self.here.subscribe().wait_for(|&(user, agent)| user && agent).await;
    }

    /// Returns when the user has the stream.
    pub(crate) async fn heard(&self) {
        let _ = self.here.subscribe().wait_for(|&(user, _)| user).await;
    }

    /// Returns when the channel is closed.
    pub(crate) async fn closed(&self) {
        let _ = self.closed.subscribe().wait_for(|&closed| closed).await;
    }

    /// Says to the user why there is no session, where nothing came of it yet.
    pub(crate) fn refuse(&self, why: &str) {
        self.outward.put(Frame::Refused(why.to_owned()).bytes());
    }
}

/// 256 random bits.
fn secret() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(hex::encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(tenant: &str) -> Wanted {
        Wanted {
            attempt: AttemptId { job: JobId(1), task: 0, attempt: 1 },
            centre: CentreId::new("here").expect("a name"),
            tenant: TenantId::new(tenant).expect("a name"),
            actor: ActorId::new("user").expect("a name"),
            target: ChannelTarget::Terminal,
            now: TimeMs(1),
        }
    }

    #[test]
    fn a_secret_is_of_one_channel_and_one_side() {
        let channels = Channels::default();
        let add = || channels.add(wanted("a")).expect("random bits").expect("room");
        let (one, two) = (add(), add());
        let found = |number, side, secret: &str| channels.find(number, side, secret).is_some();
        for (channel, other) in [(&one, &two), (&two, &one)] {
            for (side, opposite) in [(Side::User, Side::Agent), (Side::Agent, Side::User)] {
                assert!(channel.secret(side).len() == 64 && found(channel.number, side, channel.secret(side)));
                assert!(!found(channel.number, side, channel.secret(opposite)));
                assert!(!found(channel.number, side, other.secret(side)));
                assert!(!found(channel.number, side, ""));
            }
        }
        assert_eq!(channels.of_job(JobId(1)).len(), 2);
        one.close();
        assert_eq!(channels.of_job(JobId(1)).len(), 1);
        assert!(found(one.number, Side::User, one.secret(Side::User)), "what was said can still be read");
        channels.remove(&one);
        assert!(!found(one.number, Side::User, one.secret(Side::User)));
        assert_eq!(channels.of_job(JobId(1)).len(), 1);
    }

    #[test]
    fn a_tenant_has_so_many_channels_and_others_still_have_theirs() {
        let channels = Channels::default();
        let add = |tenant: &str| channels.add(wanted(tenant)).expect("random bits");
        let all: Vec<_> = (0..TENANT_CHANNELS_MAX).map(|_| add("a").expect("room")).collect();
        assert!(add("a").is_none());
        assert!(add("b").is_some());
        channels.remove(&all[0]);
        assert!(add("a").is_some());
    }
}
