//! What stands in the AWS account: reads a scalable target back, shows the difference to a document,
//! applies it, and tells what happened.
//!
//! document → [`difference()`] ← [`Standing`] ← [`Account::read`]; changes → [`Account::apply`].
//!
//! **Invariants:** nothing is ever deleted, and what the document does not name is left alone. Only
//! the room `aws` knows the SDK; what a document and an account differ in is decided without it. Of ours,
//! only `scaling` is imported.

mod aws;
mod check;
mod difference;
mod error;
mod moment;
mod names;
mod standing;

use scaling::policy::Invalid;
use scaling::simulate::Configuration;

pub use check::{Checked, Data, Metric, Samples, Silence};
pub use difference::{difference, Act, Change, Difference, Document, Field, Left};
pub use error::{Error, Stopped};
pub use names::Names;
pub use standing::{Activity, NotScaled, Seen, Standing, StandingPolicy, Unread, Watched};

use aws::Clients;

/// The scaling of one AWS account in one region.
#[derive(Debug)]
pub struct Account {
    clients: Clients,
}

impl Account {
    /// Finds region and credentials as every AWS tool does: variables, profile, role. A region that is
    /// given goes before those.
    ///
    /// # Errors
    /// There is no region, or there are no credentials.
    pub async fn connect(region: Option<&str>) -> Result<Self, Error> {
        let clients = Clients::connect(region).await?;
        Ok(Self { clients })
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        self.clients.region()
    }

    /// What stands, of a target and of the alarms with these names.
    ///
    /// # Errors
    /// Any part of it that cannot be read.
    pub async fn read(&self, names: &Names, alarms: &[&str]) -> Result<Standing, Error> {
        let clients = &self.clients;
        let mut standing = Standing {
            target: clients.target(names).await?,
            ..Standing::default()
        };
        clients.policies(names, &mut standing).await?;
        clients.alarms(alarms, &mut standing).await?;
        clients.scheduled_actions(names, &mut standing).await?;
        Ok(standing)
    }

    /// What stands for the target of a document, and what is to change.
    ///
    /// # Errors
    /// As [`difference()`] and [`Self::read`].
    pub async fn compare(&self, wanted: &Configuration) -> Result<(Standing, Difference), Error> {
        let names = Names::of(&wanted.target).map_err(Error::Document)?;
        let alarms: Vec<&str> = wanted
            .alarms
            .iter()
            .map(|one| one.alarm_name.as_str())
            .collect();
        let standing = self.read(&names, &alarms).await?;
        let difference = difference(wanted, &standing).map_err(Error::Document)?;
        Ok((standing, difference))
    }

    /// Makes the changes in their order: target, policies, alarms, scheduled actions. `told` hears of each
    /// that is made.
    ///
    /// # Errors
    /// The first change that fails; what was made before it stands, what comes after it is not tried.
    pub async fn apply(
        &self,
        difference: &Difference,
        standing: &Standing,
        told: &mut dyn FnMut(&Change),
    ) -> Result<(), Stopped> {
        // Alarms call policies by their ARNs, which are known once those are put.
        let mut arns = standing.arns();
        let mut done = Vec::new();
        for (at, change) in difference.changes.iter().enumerate() {
            if !change.is_due(&arns, standing) {
                continue;
            }
            match self.clients.put(&difference.names, change, &mut arns).await {
                Ok(()) => {
                    told(change);
                    done.push(change.title());
                }
                Err(error) => {
                    let rest = difference.changes[at + 1..].iter();
                    let rest = rest.filter(|change| change.act != Act::Keep);
                    return Err(Stopped {
                        done,
                        failed: change.title(),
                        error,
                        not_tried: rest.map(Change::title).collect(),
                    });
                }
            }
        }
        Ok(())
    }

    /// All that stands for a target, what it did of late, and whether the metrics that it goes by have data.
    /// `now` is in seconds since 1970. A part that cannot be read is a line of [`Seen::unread`].
    ///
    /// # Errors
    /// The target itself cannot be read, or there is none.
    pub async fn see(&self, names: &Names, now: i64) -> Result<Seen, Error> {
        let clients = &self.clients;
        let mut standing = Standing {
            target: clients.target(names).await?,
            ..Standing::default()
        };
        if standing.target.is_none() {
            return Err(Error::NoTarget {
                resource: names.resource_id.clone(),
                dimension: names.scalable_dimension.clone(),
                region: clients.region().to_owned(),
            });
        }
        let mut unread = Vec::new();
        let mut note = |part: &str, error: Error| unread.push(format!("{part}: {error}"));
        if let Err(error) = clients.policies(names, &mut standing).await {
            note("policies", error);
        }
        if let Err(error) = clients.alarms(&[], &mut standing).await {
            note("alarms", error);
        }
        if let Err(error) = clients.scheduled_actions(names, &mut standing).await {
            note("scheduled actions", error);
        }
        let activities = clients.activities(names).await;
        let activities = activities.unwrap_or_else(|error| {
            note("activities", error);
            Vec::new()
        });
        let mut metrics: Vec<Checked> = Vec::new();
        for mut one in check::named(names, &standing) {
            one.data = clients.data(&one.metric, now).await;
            // Samples do not depend on statistic and period: once is enough.
            if one.has_data()
                && !metrics
                    .iter()
                    .any(|other| other.metric.has_samples_of(&one.metric))
            {
                one.samples = clients.samples(&one.metric, names, now).await;
            }
            metrics.push(one);
        }
        Ok(Seen {
            standing,
            activities,
            metrics,
            unread,
        })
    }
}

/// What an account cannot take of a document.
fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Invalid {
    Invalid {
        field: field.into(),
        reason: reason.into(),
    }
}
