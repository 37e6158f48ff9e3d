//! §2.2: targets, however they became known.

use hawser_api::v1;

use super::{
    InformationClass, Library, LoginOptions, Portal, PortalGroup, StaticTarget, Status,
    TargetInformation, ask, calls, convert,
};

/// `ISCSI_TCP_PROTOCOL_TYPE`.
const TCP: u32 = 0;

impl Library {
    /// `AddIScsiStaticTarget`: makes a target known without discovery and without network traffic. With the merge
    /// flag what is given replaces what is stored, the rest stays, portals are united; without it the entry is
    /// replaced.
    ///
    /// # Errors
    /// `ISDSC_INVALID_ISCSI_NAME`, `ISDSC_INVALID_TARGET_MAPPING`, `ERROR_INVALID_PARAMETER` for an alias or portal
    /// that cannot be one, those of [`LoginOptions`].
    pub fn add_static_target(&self, target: StaticTarget) -> Result<(), Status> {
        let portals = target.portal_group.unwrap_or_default().portals;
        let request = v1::AddStaticTargetRequest {
            target_name: target.name,
            alias: target.alias.unwrap_or_default(),
            target_flags: target.flags,
            persist: target.persist,
            mapping: target.mapping.as_ref().map(convert::mapping_in),
            login_options: target.login_options.map(LoginOptions::into_wire),
            portals: portals.iter().map(v1::Portal::from).collect(),
        };
        ask!(
            self,
            calls::ADD_STATIC_TARGET,
            discovery.add_static_target,
            request
        )
        .map(drop)
    }

    /// `RemoveIScsiStaticTarget`: what discovery told of it, sessions and persistent logins stay.
    ///
    /// # Errors
    /// `ISDSC_TARGET_NOT_FOUND` if there is no static target of that name.
    pub fn remove_static_target(&self, name: &str) -> Result<(), Status> {
        let request = v1::RemoveStaticTargetRequest {
            target_name: name.to_owned(),
        };
        ask!(
            self,
            calls::REMOVE_STATIC_TARGET,
            discovery.remove_static_target,
            request
        )
        .map(drop)
    }

    /// `ReportIScsiTargets`: names of the known targets, each once; without those that are only static and hidden.
    /// `force_update` asks every portal and server first; one that fails does not fail the call.
    ///
    /// # Errors
    /// Those of every call.
    pub fn targets(&self, force_update: bool) -> Result<Vec<String>, Status> {
        let request = v1::ListTargetsRequest {
            refresh: force_update,
            include_hidden: false,
            view: v1::TargetView::Name.into(),
        };
        let call = if force_update {
            calls::REFRESH_TARGETS
        } else {
            calls::LIST_TARGETS
        };
        let listed = ask!(self, call, discovery.list_targets, request)?;
        let all = listed.targets.into_iter();
        Ok(all.map(|target| target.target_name).collect())
    }

    /// `GetIScsiTargetInformation`: what one discovery mechanism knows of a target. Without a mechanism it is the
    /// first that knows the target; its list of mechanisms has all of them then.
    ///
    /// # Errors
    /// `ISDSC_TARGET_NOT_FOUND`, `ISDSC_DISCOVERY_MECHANISM_NOT_FOUND`.
    pub fn target_information(
        &self,
        name: &str,
        mechanism: Option<&str>,
        class: InformationClass,
    ) -> Result<TargetInformation, Status> {
        let target = self.target(name)?;
        information(target, mechanism, class)
    }

    /// `ReportIScsiTargetPortals`: where a target is reached, each address and socket once; with a tag only those
    /// of that portal group. `initiator` is an instance or our node name; `None` and empty: any.
    ///
    /// # Errors
    /// `ISDSC_TARGET_NOT_FOUND`, `ISDSC_INITIATOR_NOT_FOUND`.
    pub fn target_portals(
        &self,
        initiator: Option<&str>,
        name: &str,
        tag: Option<u16>,
    ) -> Result<Vec<Portal>, Status> {
        let target = self.target(name)?;
        let initiator = initiator.filter(|name| !name.is_empty());
        if let Some(initiator) = initiator {
            self.check_initiator(initiator)?;
        }
        Ok(portals(target, tag))
    }

    fn target(&self, name: &str) -> Result<v1::Target, Status> {
        let request = v1::GetTargetRequest {
            target_name: name.to_owned(),
        };
        let told = ask!(self, calls::GET_TARGET, discovery.get_target, request)?;
        told.target.ok_or(Status::TARGET_NOT_FOUND)
    }

    /// There is one instance, so all that a filter can tell is whether it names that or us.
    fn check_initiator(&self, name: &str) -> Result<(), Status> {
        let instances = self.initiators()?;
        let known = instances.iter().any(|one| one.eq_ignore_ascii_case(name));
        if known || self.node_name()? == name {
            return Ok(());
        }
        Err(Status::INITIATOR_NOT_FOUND)
    }
}

/// The instance that a mechanism's text names: without regard to case and trailing blanks (§1.7).
fn chosen(
    instances: Vec<v1::TargetInstance>,
    mechanism: Option<&str>,
) -> Result<Vec<v1::TargetInstance>, Status> {
    let Some(wanted) = mechanism.map(str::trim_end).filter(|text| !text.is_empty()) else {
        return Ok(instances);
    };
    let same = |instance: &v1::TargetInstance| {
        let text = instance.mechanism_text.trim_end();
        text.to_lowercase() == wanted.to_lowercase()
    };
    let found: Vec<_> = instances.into_iter().filter(same).collect();
    if found.is_empty() {
        return Err(Status::DISCOVERY_MECHANISM_NOT_FOUND);
    }
    Ok(found)
}

/// Their texts, each once: a portal that is stored both with and without the initiator's name is asked by the same
/// initiator.
fn mechanisms(instances: Vec<v1::TargetInstance>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for text in instances.into_iter().map(|one| one.mechanism_text) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

/// The alias that the target told in a login, which holds for all its instances. That of one instance is nothing to
/// the others.
fn alias_of_target(target: &v1::Target) -> String {
    let is_of_an_instance = target.instances.iter().any(|one| one.alias == target.alias);
    if is_of_an_instance {
        String::new()
    } else {
        target.alias.clone()
    }
}

fn information(
    target: v1::Target,
    mechanism: Option<&str>,
    class: InformationClass,
) -> Result<TargetInformation, Status> {
    let told_by_target = alias_of_target(&target);
    let mut instances = chosen(target.instances, mechanism)?;
    if class == InformationClass::DiscoveryMechanisms {
        return Ok(TargetInformation::DiscoveryMechanisms(mechanisms(
            instances,
        )));
    }
    if instances.is_empty() {
        return Err(Status::TARGET_NOT_FOUND);
    }
    let one = instances.swap_remove(0);
    Ok(match class {
        InformationClass::ProtocolType => TargetInformation::ProtocolType(TCP),
        InformationClass::TargetAlias => {
            let alias = Some(one.alias).filter(|alias| !alias.is_empty());
            TargetInformation::TargetAlias(alias.unwrap_or(told_by_target))
        }
        InformationClass::DiscoveryMechanisms => {
            TargetInformation::DiscoveryMechanisms(vec![one.mechanism_text])
        }
        InformationClass::PortalGroups => TargetInformation::PortalGroups(
            one.portal_groups
                .into_iter()
                .map(PortalGroup::from)
                .collect(),
        ),
        InformationClass::PersistentTargetMappings => {
            let initiator = &one.initiator_instance;
            let mapping = one
                .mapping
                .map(|mapping| convert::mapping_out(mapping, initiator, &target.target_name));
            TargetInformation::PersistentTargetMappings(mapping)
        }
        InformationClass::InitiatorName => {
            let name = Some(one.initiator_instance).filter(|name| !name.is_empty());
            TargetInformation::InitiatorName(name)
        }
        InformationClass::TargetFlags => TargetInformation::TargetFlags(one.target_flags),
        InformationClass::LoginOptions => {
            TargetInformation::LoginOptions(one.login_options.map(LoginOptions::from))
        }
    })
}

fn portals(target: v1::Target, tag: Option<u16>) -> Vec<Portal> {
    let groups = target
        .instances
        .into_iter()
        .flat_map(|instance| instance.portal_groups);
    let wanted = groups.filter(|group| tag.is_none() || group.tag == tag.map(u32::from));
    let mut found: Vec<Portal> = Vec::new();
    for portal in wanted.flat_map(|group| group.portals).map(Portal::from) {
        let same = |other: &Portal| {
            other.socket == portal.socket && other.address.eq_ignore_ascii_case(&portal.address)
        };
        if !found.iter().any(same) {
            found.push(portal);
        }
    }
    found
}

#[cfg(test)]
mod tests;
