/** Task queues, named by what has to be near: nothing, the database's files, or the site's disks. */
export const CONTROL_QUEUE = 'holdfast';
export const hostQueue = (host: string): string => `holdfast-host-${host}`;
export const siteQueue = (site: string): string => `holdfast-site-${site}`;
