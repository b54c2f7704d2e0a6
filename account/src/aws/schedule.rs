//! Scheduled actions, both ways.

use aws_sdk_applicationautoscaling::types;
use aws_smithy_types::DateTime;
use scaling::policy::{ScalableTargetAction, ScheduledAction};

use super::error::error;
use super::{count, dimension, service, whole, Clients};
use crate::{moment, Error, Names, Standing};

const DESCRIBE: &str = "application-autoscaling:DescribeScheduledActions";
const PUT: &str = "application-autoscaling:PutScheduledAction";

impl Clients {
    /// Adds the target's scheduled actions.
    pub(crate) async fn scheduled_actions(
        &self,
        names: &Names,
        standing: &mut Standing,
    ) -> Result<(), Error> {
        let call = self.scaling.describe_scheduled_actions();
        let call = call
            .service_namespace(service(names))
            .resource_id(&names.resource_id)
            .scalable_dimension(dimension(names));
        let found = call.into_paginator().items().send().try_collect().await;
        let found = found.map_err(|sdk| error(DESCRIBE, &sdk))?;
        standing.scheduled_actions.extend(found.iter().map(ours));
        Ok(())
    }

    pub(super) async fn put_scheduled_action(
        &self,
        names: &Names,
        action: &ScheduledAction,
    ) -> Result<(), Error> {
        let sets = action.scalable_target_action;
        let bound = |field: &str, bound: Option<u32>| {
            bound
                .map(|bound| whole(PUT, field, bound.into()))
                .transpose()
        };
        let sets = types::ScalableTargetAction::builder()
            .set_min_capacity(bound("MinCapacity", sets.min_capacity)?)
            .set_max_capacity(bound("MaxCapacity", sets.max_capacity)?)
            .build();
        let call = self.scaling.put_scheduled_action();
        let call = call
            .scheduled_action_name(&action.scheduled_action_name)
            .service_namespace(service(names))
            .resource_id(&names.resource_id)
            .scalable_dimension(dimension(names))
            .set_schedule(action.schedule.clone())
            .set_timezone(action.timezone.clone())
            .set_start_time(time("StartTime", &action.start_time)?)
            .set_end_time(time("EndTime", &action.end_time)?)
            .scalable_target_action(sets);
        call.send().await.map_err(|sdk| error(PUT, &sdk))?;
        Ok(())
    }
}

fn time(field: &str, text: &Option<String>) -> Result<Option<DateTime>, Error> {
    let Some(text) = text else {
        return Ok(None);
    };
    let seconds = moment::seconds(text).ok_or_else(|| Error::Other {
        action: PUT,
        why: format!("{field} is {text:?}; expected such as 2027-01-31T08:00:00Z"),
    })?;
    Ok(Some(DateTime::from_secs(seconds)))
}

fn ours(found: &types::ScheduledAction) -> ScheduledAction {
    let sets = found.scalable_target_action();
    let text = |time: Option<&DateTime>| time.map(|time| moment::text(time.secs()));
    ScheduledAction {
        service_namespace: Some(found.service_namespace().as_str().to_owned()),
        scheduled_action_name: found.scheduled_action_name().to_owned(),
        resource_id: Some(found.resource_id().to_owned()),
        scalable_dimension: found
            .scalable_dimension()
            .map(|one| one.as_str().to_owned()),
        schedule: Some(found.schedule().to_owned()),
        at: None,
        timezone: found.timezone().map(str::to_owned),
        start_time: text(found.start_time()),
        end_time: text(found.end_time()),
        scalable_target_action: ScalableTargetAction {
            min_capacity: sets.and_then(|sets| sets.min_capacity()).map(count),
            max_capacity: sets.and_then(|sets| sets.max_capacity()).map(count),
        },
    }
}
