//! Scalable targets, both ways.

use aws_sdk_applicationautoscaling::types;
use scaling::policy::{ScalableTarget, SuspendedState};

use super::error::error;
use super::{count, dimension, service, whole, Clients};
use crate::{Error, Names};

const DESCRIBE: &str = "application-autoscaling:DescribeScalableTargets";
const REGISTER: &str = "application-autoscaling:RegisterScalableTarget";

impl Clients {
    /// The target of these names; none where it is not registered.
    pub(crate) async fn target(&self, names: &Names) -> Result<Option<ScalableTarget>, Error> {
        let call = self.scaling.describe_scalable_targets();
        let call = call
            .service_namespace(service(names))
            .resource_ids(&names.resource_id)
            .scalable_dimension(dimension(names));
        let found = call.into_paginator().items().send().try_collect().await;
        let found = found.map_err(|sdk| error(DESCRIBE, &sdk))?;
        Ok(found.first().map(ours))
    }

    pub(super) async fn put_target(
        &self,
        names: &Names,
        target: &ScalableTarget,
    ) -> Result<(), Error> {
        let suspended = target.suspended_state;
        // What is left out stays as it is, so that all of it is said.
        let suspended = types::SuspendedState::builder()
            .dynamic_scaling_in_suspended(suspended.dynamic_scaling_in_suspended)
            .dynamic_scaling_out_suspended(suspended.dynamic_scaling_out_suspended)
            .scheduled_scaling_suspended(suspended.scheduled_scaling_suspended)
            .build();
        let call = self.scaling.register_scalable_target();
        let call = call
            .service_namespace(service(names))
            .resource_id(&names.resource_id)
            .scalable_dimension(dimension(names))
            .min_capacity(whole(REGISTER, "MinCapacity", target.min_capacity.into())?)
            .max_capacity(whole(REGISTER, "MaxCapacity", target.max_capacity.into())?)
            .suspended_state(suspended);
        call.send().await.map_err(|sdk| error(REGISTER, &sdk))?;
        Ok(())
    }
}

fn ours(found: &types::ScalableTarget) -> ScalableTarget {
    let suspended = found.suspended_state();
    let is = |member: fn(&types::SuspendedState) -> Option<bool>| {
        suspended.and_then(member) == Some(true)
    };
    ScalableTarget {
        service_namespace: Some(found.service_namespace().as_str().to_owned()),
        resource_id: Some(found.resource_id().to_owned()),
        scalable_dimension: Some(found.scalable_dimension().as_str().to_owned()),
        min_capacity: count(found.min_capacity()),
        max_capacity: count(found.max_capacity()),
        suspended_state: SuspendedState {
            dynamic_scaling_in_suspended: is(types::SuspendedState::dynamic_scaling_in_suspended),
            dynamic_scaling_out_suspended: is(types::SuspendedState::dynamic_scaling_out_suspended),
            scheduled_scaling_suspended: is(types::SuspendedState::scheduled_scaling_suspended),
        },
    }
}
