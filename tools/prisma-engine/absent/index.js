// Stands for what Prisma's CLI loads but only `prisma dev` and `prisma studio` use.
