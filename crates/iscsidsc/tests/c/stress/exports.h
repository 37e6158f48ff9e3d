/* The exports, each with how long it may take: what only looks, what changes the store, what talks to targets. */
#ifndef STRESS_EXPORTS_H
#define STRESS_EXPORTS_H

#define PAIR(X, name, limit) X(name##A, limit) X(name##W, limit)

#define EXPORTS(X)                                                                                          \
    PAIR(X, AddISNSServer, NETWORK)                                                                         \
    PAIR(X, AddIScsiConnection, NETWORK)                                                                    \
    PAIR(X, AddIScsiSendTargetPortal, NETWORK)                                                              \
    PAIR(X, AddIScsiStaticTarget, CHANGE)                                                                   \
    PAIR(X, AddPersistentIScsiDevice, NETWORK)                                                              \
    PAIR(X, AddRadiusServer, CHANGE)                                                                        \
    X(ClearPersistentIScsiDevices, NETWORK)                                                                 \
    PAIR(X, GetDevicesForIScsiSession, LOOK)                                                                \
    PAIR(X, GetIScsiIKEInfo, LOOK)                                                                          \
    PAIR(X, GetIScsiInitiatorNodeName, LOOK)                                                                \
    PAIR(X, GetIScsiSessionList, LOOK)                                                                      \
    X(GetIScsiSessionListEx, LOOK)                                                                          \
    PAIR(X, GetIScsiTargetInformation, LOOK)                                                                \
    X(GetIScsiVersionInformation, LOOK)                                                                     \
    PAIR(X, LoginIScsiTarget, NETWORK)                                                                      \
    X(LogoutIScsiTarget, NETWORK)                                                                           \
    PAIR(X, RefreshISNSServer, NETWORK)                                                                     \
    PAIR(X, RefreshIScsiSendTargetPortal, NETWORK)                                                          \
    PAIR(X, RemoveISNSServer, CHANGE)                                                                       \
    X(RemoveIScsiConnection, NETWORK)                                                                       \
    PAIR(X, RemoveIScsiPersistentTarget, CHANGE)                                                            \
    PAIR(X, RemoveIScsiSendTargetPortal, CHANGE)                                                            \
    PAIR(X, RemoveIScsiStaticTarget, CHANGE)                                                                \
    PAIR(X, RemovePersistentIScsiDevice, NETWORK)                                                           \
    PAIR(X, RemoveRadiusServer, CHANGE)                                                                     \
    PAIR(X, ReportActiveIScsiTargetMappings, LOOK)                                                          \
    PAIR(X, ReportISNSServerList, LOOK)                                                                     \
    PAIR(X, ReportIScsiInitiatorList, LOOK)                                                                 \
    PAIR(X, ReportIScsiPersistentLogins, LOOK)                                                              \
    PAIR(X, ReportIScsiSendTargetPortals, LOOK)                                                             \
    PAIR(X, ReportIScsiSendTargetPortalsEx, LOOK)                                                           \
    PAIR(X, ReportIScsiTargetPortals, LOOK)                                                                 \
    PAIR(X, ReportIScsiTargets, NETWORK)                                                                    \
    PAIR(X, ReportPersistentIScsiDevices, LOOK)                                                             \
    PAIR(X, ReportRadiusServerList, LOOK)                                                                   \
    X(SendScsiInquiry, NETWORK)                                                                             \
    X(SendScsiReadCapacity, NETWORK)                                                                        \
    X(SendScsiReportLuns, NETWORK)                                                                          \
    X(SetIScsiGroupPresharedKey, CHANGE)                                                                    \
    PAIR(X, SetIScsiIKEInfo, CHANGE)                                                                        \
    X(SetIScsiInitiatorCHAPSharedSecret, CHANGE)                                                            \
    PAIR(X, SetIScsiInitiatorNodeName, CHANGE)                                                              \
    X(SetIScsiInitiatorRADIUSSharedSecret, CHANGE)                                                          \
    PAIR(X, SetIScsiTunnelModeOuterAddress, CHANGE)                                                         \
    X(SetupPersistentIScsiDevices, NETWORK)                                                                 \
    X(SetupPersistentIScsiVolumes, NETWORK)

enum export {
#define EXPORT(name, limit) E_##name,
    EXPORTS(EXPORT)
#undef EXPORT
    EXPORT_COUNT
};

#endif
