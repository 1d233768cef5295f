"""Sheets as RVTools labels them, of whatever tool, to a snapshot.

What is taken from where (sheet: columns):

===========  ================================================================================================
hosts        vHost: Host, Cluster, Datacenter (site), Speed x # Cores, # Memory, Max EVC, maintenance and
             quarantine mode; vNIC: the fastest NIC, for want of the vMotion NICs
clusters     vHost: Current EVC; vCluster: DRS behaviour and rate, Failover Level
pools        vRP: path, reservation, limit, shares, expandable; vInfo: Resource pool
vms          vInfo: Powerstate, Host, min Required EVC Mode Key; vCPU: CPUs, Overall (MHz used now), shares,
             reservation, limit; vMemory: Size, Active, Consumed, shares, reservation, limit
disks        vDisk: Capacity, Path; vInfo: In Use, shared out over the disks by size
datastores   vDatastore: Capacity, Free, Cluster name, Hosts (mounts)
networks     vNetwork: Network; vPort: standard port groups; dvPort and dvSwitch: distributed ones
===========  ================================================================================================

Templates and SRM placeholders are left out. Units are binary; labels say MB up to version 4.0, MiB since.
"""
