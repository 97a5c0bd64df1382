export async function handOver() {}
export async function pausesOf() {}
